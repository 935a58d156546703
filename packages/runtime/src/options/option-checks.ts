/** Checks that several tables share. Each throws UsageError with the flags' names and the cure. */
import { UsageError } from '../process/usage-error.ts';

/** A value with the kebab-case name of its option. */
export type NamedValue = readonly [name: string, value: string | undefined];

/** A certificate without its key, or a key without its certificate, is a mistake. */
export function checkPair([certName, cert]: NamedValue, [keyName, key]: NamedValue): void {
  if (cert !== undefined && key === undefined) {
    throw new UsageError(`--${keyName} is missing: it goes with --${certName}`);
  }
  if (key !== undefined && cert === undefined) {
    throw new UsageError(`--${certName} is missing: it goes with --${keyName}`);
  }
}

/** Where a program is going to listen. */
export interface PlannedListener {
  /** Kebab-case name of the port's option. */
  readonly name: string;
  /** 0: the system picks; undefined: this listener stays closed. */
  readonly port: number | undefined;
  /** undefined: all addresses. */
  readonly address: string | undefined;
}

/** Two listeners on one fixed port: said with both names, which the second bind could not. */
export function checkDistinctPorts(planned: readonly PlannedListener[]): void {
  const fixed = planned.filter(({ port }) => port !== undefined && port !== 0);
  for (const [index, one] of fixed.entries()) {
    const other = fixed
      .slice(index + 1)
      .find(({ port, address }) => port === one.port && overlap(address, one.address));
    if (other) {
      throw new UsageError(
        `--${one.name} and --${other.name} are both ${one.port}: give two different ports`,
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

/** klog's destination flags hang together in a way that is easily got wrong. */
export function warnOfLogDestination(
  options: { readonly logtostderr: boolean; readonly logFile: string | undefined },
  warn: (text: string) => void,
): void {
  if (options.logFile !== undefined && options.logtostderr) {
    warn('--log-file is not written: add --logtostderr=false');
  }
  if (options.logFile === undefined && !options.logtostderr) {
    warn('--logtostderr=false without --log-file: the log goes to stderr');
  }
}
