/** Checks that several tables share. They throw UsageError with the flags and the cure. */
import { UsageError } from '../process/startup-error.ts';

/** A value and the kebab-case name of its option. */
type NamedValue = readonly [name: string, value: string | undefined];

/** Requires both or neither of a certificate and its key. */
export function checkPair([certName, cert]: NamedValue, [keyName, key]: NamedValue): void {
  if (cert !== undefined && key === undefined) {
    throw new UsageError(`--${keyName} is missing: --${certName} needs it`);
  }
  if (key !== undefined && cert === undefined) {
    throw new UsageError(`--${certName} is missing: --${keyName} needs it`);
  }
}

/** Rejects two listeners on the same address and port; the error of `bind` could not name both flags. */
export function checkDistinctPorts(
  listeners: readonly {
    /** Kebab-case name of the port's option. */
    readonly name: string;
    /** 0: the system picks one; undefined: the listener is disabled. */
    readonly port: number | undefined;
    /** undefined: all addresses. */
    readonly address: string | undefined;
  }[],
): void {
  const fixed = listeners.filter(({ port }) => port !== undefined && port !== 0);
  for (const [index, one] of fixed.entries()) {
    const other = fixed
      .slice(index + 1)
      .find(({ port, address }) => port === one.port && overlap(address, one.address));
    if (other) {
      throw new UsageError(
        `--${one.name} and --${other.name} are both ${one.port}: use two different ports`,
      );
    }
  }
}

function overlap(a: string | undefined, b: string | undefined): boolean {
  return isAll(a) || isAll(b) || a === b;
}

function isAll(address: string | undefined): boolean {
  return address === undefined || address === '::' || address === '0.0.0.0';
}

/** Warns about combinations of klog's flags that do not log where the operator may expect. */
export function warnOfLogDestination(
  options: { readonly logtostderr: boolean; readonly logFile: string | undefined },
  warn: (text: string) => void,
): void {
  if (options.logFile !== undefined && options.logtostderr) {
    warn('--log-file has no effect: add --logtostderr=false');
  }
  if (options.logFile === undefined && !options.logtostderr) {
    warn('--logtostderr=false has no effect without --log-file: the log goes to stderr');
  }
}
