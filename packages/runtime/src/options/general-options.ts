import { ignoredOption, option } from './option.ts';
import { boolean, filePath, integer, oneOf, text } from './option-kinds.ts';

const group = 'General';

/** `--config`, for tables to spread. */
export const configOptions = {
  config: option(filePath, {
    group,
    description: 'Configuration file, YAML or JSON, with the names of the flags as keys',
  }),
};

const noTextLog = 'logs are JSON lines without klog headers';
const oneDestination = 'there is one log, on stderr or in --log-file';

/** Log flags of our own and of klog, for tables to spread; logger.ts gives them their meaning. */
export const logOptions = {
  'log-level': option(oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal'), {
    group: 'Logging',
    description: 'The least level to log; overrides -v',
    defaultText: 'info',
  }),
  v: option(integer(0, 2 ** 31 - 1), {
    group: 'Logging',
    description: "klog's verbosity: 0 to 4 is info, 5 is debug, 6 and more is trace",
    default: 0,
    short: 'v',
  }),
  logtostderr: option(boolean, {
    group: 'Logging',
    description: 'Log to stderr; with --logtostderr=false the log goes to --log-file',
    default: true,
  }),
  'log-file': option(filePath, {
    group: 'Logging',
    description: 'File to append the log to, with --logtostderr=false; SIGHUP reopens it',
  }),
  ...klogIgnored({
    'log-file-max-size': [integer(0, Number.MAX_SAFE_INTEGER), 'rotate the file and send SIGHUP'],
    'log-dir': [text, oneDestination],
    alsologtostderr: [boolean, oneDestination],
    'one-output': [boolean, oneDestination],
    stderrthreshold: [text, oneDestination],
    'add-dir-header': [boolean, noTextLog],
    'skip-headers': [boolean, noTextLog],
    'skip-log-headers': [boolean, noTextLog],
    'log-backtrace-at': [text, 'errors are logged with their stack'],
    vmodule: [text, 'the level is set for the whole process by --log-level'],
  }),
};

type IgnoredRow = readonly [kind: Parameters<typeof ignoredOption<unknown>>[0], reason: string];

function klogIgnored<K extends string>(rows: Readonly<Record<K, IgnoredRow>>) {
  const declared = Object.entries<IgnoredRow>(rows).map(([name, [kind, reason]]) => [
    name,
    ignoredOption(kind, { description: 'a log flag of klog', reason }),
  ]);
  return Object.fromEntries(declared) as Record<K, ReturnType<typeof ignoredOption>>;
}
