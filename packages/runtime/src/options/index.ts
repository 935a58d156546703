export { readCheckedFile } from '../process/read-checked-file.ts';
export { describeOptions } from './describe-options.ts';
export { configOptions, logOptions } from './general-options.ts';
export { konnectivityOptions } from './konnectivity-options.ts';
export { kubernetesGroup, kubernetesOptions } from './kubernetes-options.ts';
export {
  type InertOption,
  ignoredOption,
  type LiveOption,
  option,
  refusedOption,
} from './option.ts';
export { checkDistinctPorts, checkPair, warnOfLogDestination } from './option-checks.ts';
export { configurationDocs } from './option-docs.ts';
export { helpText } from './option-help.ts';
export * as kinds from './option-kinds.ts';
export {
  type AnyOptionTable,
  defineOptions,
  type OptionDeclarations,
  type OptionSource,
  type OptionsOf,
  type OptionTable,
  type OptionValues,
} from './option-table.ts';
export { formatByteSize, parseByteSize } from './read/byte-size.ts';
export { formatGoDuration, maxTimerMs, parseGoDuration } from './read/go-duration.ts';
export {
  completeOptions,
  type ParsedOptions,
  type ParseInput,
  parseOptions,
} from './read/parse-options.ts';
export { readNamedBytes, readNamedFile } from './read/read-named-file.ts';
export { checkWindows, reloadOptions, tunnelOptions } from './tunnel-options.ts';
