import type { OptionKind } from './option-kinds.ts';

/** What is said about an option to its readers: people, `--help` and docs/configuration.md. */
export interface OptionText {
  /** The heading in `--help`; groups appear in the order of their first option. */
  readonly group: string;
  /** One or two sentences, no full stop at the end, no default (it is added). */
  readonly description: string;
  /** Words in the place of a default that depends on something. */
  readonly defaultText?: string;
  /** Environment variables besides FAIRLEAD_<NAME>, which goes before them. */
  readonly env?: readonly string[];
  /** One letter: `v` allows `-v=4`, `-v 4` and `-v4`. */
  readonly short?: string;
  /** The value must never be printed, not even in a complaint about it. */
  readonly secret?: boolean;
  /** A former name, in kebab-case: it works as flag, variable and key, and `--help` omits it. */
  readonly alias?: string;
  /** Must not be on a command line, which everybody on the machine can read; the text says where instead. */
  readonly notAsFlag?: string;
  /** Still works; giving it causes a warning with this cure. */
  readonly deprecated?: string;
}

/** An option as the table holds it. T is the type of the parsed value, undefined included. */
export interface LiveOption<T> extends OptionText {
  readonly standing: 'live';
  readonly kind: OptionKind<Exclude<T, undefined>>;
  readonly required: boolean;
  makeDefault(): T | undefined;
}

/**
 * An option that has no value for the program: `ignored` ones cause a warning with the reason,
 * `refused` ones are an error with the reason unless they ask for nothing (the default).
 */
export interface InertOption {
  readonly standing: 'ignored' | 'refused';
  readonly kind: OptionKind<unknown>;
  /** Konnectivity's default. */
  readonly default: unknown;
  /** What it does in Konnectivity. */
  readonly description: string;
  /** Ends the sentence "--flag has no effect: ..." or "--flag: ...". */
  readonly reason: string;
}

export type AnyOption = LiveOption<unknown> | InertOption;

interface LiveSpec<T> extends OptionText {
  readonly default?: T;
  /** For a default that differs from process to process; goes with `defaultText`. */
  readonly makeDefault?: () => T;
  readonly required?: boolean;
}

/** Declares an option; without a default and unless required its value may be undefined. */
export function option<T>(
  kind: OptionKind<T>,
  spec: OptionText & { readonly default: NoInfer<T> },
): LiveOption<T>;
export function option<T>(
  kind: OptionKind<T>,
  spec: OptionText & { readonly makeDefault: () => NoInfer<T>; readonly defaultText: string },
): LiveOption<T>;
export function option<T>(
  kind: OptionKind<T>,
  spec: OptionText & { readonly required: true },
): LiveOption<T>;
export function option<T>(kind: OptionKind<T>, spec: OptionText): LiveOption<T | undefined>;
export function option<T>(
  kind: OptionKind<Exclude<T, undefined>>,
  { default: fixed, makeDefault = () => fixed as T, required = false, ...words }: LiveSpec<T>,
): LiveOption<T> {
  return { standing: 'live', kind, required, makeDefault, ...words };
}

interface InertSpec<T> extends Pick<InertOption, 'description' | 'reason'> {
  readonly default?: T;
}

/** Declares an option of Konnectivity's that means nothing here and does no harm. */
export function ignoredOption<T>(kind: OptionKind<T>, spec: InertSpec<NoInfer<T>>): InertOption {
  return { standing: 'ignored', default: undefined, ...spec, kind: kind as OptionKind<unknown> };
}

/** Declares an option whose promise cannot be kept, and whose silent loss would do harm. */
export function refusedOption<T>(kind: OptionKind<T>, spec: InertSpec<NoInfer<T>>): InertOption {
  return { standing: 'refused', default: undefined, ...spec, kind: kind as OptionKind<unknown> };
}
