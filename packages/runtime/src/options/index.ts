export { nearestName } from './nearest-name.ts';
export { checkDistinctPorts, checkPair, warnOfLogDestination } from './option-checks.ts';
export { configurationDocs } from './option-docs.ts';
export { describeOptions, helpText } from './option-help.ts';
export * as kinds from './option-kinds.ts';
export {
  type AnyOptionTable,
  defineOptions,
  type InertOption,
  ignoredOption,
  type LiveOption,
  type OptionDeclarations,
  type OptionsOf,
  type OptionTable,
  type OptionValues,
  option,
  optionsIn,
  refusedOption,
} from './option-table.ts';
export { formatByteSize, parseByteSize } from './read/byte-size.ts';
export { formatGoDuration, maxTimerMs, parseGoDuration } from './read/go-duration.ts';
export { completeOptions, type ParsedOptions, parseOptions } from './read/parse-options.ts';
export { readCheckedFile } from './read/read-checked-file.ts';
export { readNamedBytes, readNamedFile } from './read/read-named-file.ts';
export {
  checkWindows,
  configOptions,
  konnectivityOptions,
  kubernetesGroup,
  kubernetesOptions,
  logOptions,
  reloadOptions,
  tunnelOptions,
} from './shared-options.ts';
