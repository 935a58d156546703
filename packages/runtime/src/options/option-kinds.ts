/**
 * The kinds of value that an option can have. Every kind parses text, so that one spelling works in flags, in
 * the environment and in files.
 */
import { z } from 'zod';
import { formatHostPort, type HostPort, parseHost, parseHostPort } from '../net/host-port.ts';
import { badRule, parseTargetRule, type TargetRule } from '../net/target-rule.ts';
import { cipherSuiteNames, type TlsVersionName, tlsVersionNames } from '../tls/tls-names.ts';
import { formatByteSize, parseByteSize } from './read/byte-size.ts';
import { formatGoDuration, maxTimerMs, parseGoDuration } from './read/go-duration.ts';

/** How the text of an option becomes a value of type T, and back. */
export interface OptionKind<T> {
  /** Stands for the value in `--help`: PORT, DURATION. */
  readonly placeholder: string;
  /**
   * Parses the text. Its error message follows the quoted text: `is not a port`. A list's schema parses the
   * array of its items' texts.
   */
  readonly schema: z.ZodType<T>;
  /** A flag without a value means `true`. */
  readonly isBoolean: boolean;
  /** The flag can be repeated; commas separate items. */
  readonly isList: boolean;
  /** `--flag=` means the same as no flag, as for Go's string flags. */
  readonly emptyIsUnset: boolean;
  /** The value as a user would write it, with passwords masked. */
  format(value: T): string;
}

function kind<T>(
  spec: Pick<OptionKind<T>, 'placeholder' | 'schema'> & Partial<OptionKind<T>>,
): OptionKind<T> {
  return { isBoolean: false, isList: false, emptyIsUnset: false, format: String, ...spec };
}

/** A schema from a parser that returns undefined for invalid text. */
function reads<T>(read: (text: string) => T | undefined, complaint: string): z.ZodType<T, string> {
  return z.string().transform((text, context) => {
    const value = read(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: complaint });
    return z.NEVER;
  });
}

export const text: OptionKind<string> = kind({
  placeholder: 'TEXT',
  schema: z.string().regex(/^[^\r\n\0]*$/, 'must be one line'),
  emptyIsUnset: true,
});

/** The path of a file. Its reader checks whether the file exists. */
export const filePath: OptionKind<string> = kind({
  placeholder: 'FILE',
  schema: z.string().regex(/^[^\0]+$/, 'is not a path'),
  emptyIsUnset: true,
});

const goBooleans = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((word): [string, boolean] => [word, true]),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((word): [string, boolean] => [word, false]),
]);

/** The spellings of Go's strconv.ParseBool. */
export const boolean: OptionKind<boolean> = kind({
  placeholder: '',
  schema: reads((word) => goBooleans.get(word), 'is neither true nor false'),
  isBoolean: true,
});

export function integer(min: number, max: number): OptionKind<number> {
  return kind({
    placeholder: 'NUMBER',
    schema: reads((digits) => {
      const value = /^[+-]?\d+$/.test(digits) ? Number(digits) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    }, `is not a whole number from ${min} to ${max}`),
  });
}

export function decimal(min: number, max: number): OptionKind<number> {
  return kind({
    placeholder: 'NUMBER',
    schema: reads((digits) => {
      const value = /^\d+(\.\d+)?$/.test(digits) ? Number(digits) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    }, `is not a number from ${min} to ${max}`),
  });
}

/** Labels of a Kubernetes object as one text: `key=value,key=value`. */
export const labels: OptionKind<Readonly<Record<string, string>>> = kind({
  placeholder: 'KEY=VALUE,...',
  schema: reads(readLabels, 'is not KEY=VALUE, or several of them separated by commas'),
  emptyIsUnset: true,
  format: (values) =>
    Object.entries(values)
      .map(([name, value]) => `${name}=${value}`)
      .join(','),
});

function readLabels(written: string): Readonly<Record<string, string>> | undefined {
  const pairs = written.split(',').map((pair) => /^([\w./-]+)=([\w.-]*)$/.exec(pair.trim()));
  if (pairs.some((pair) => pair === null)) return undefined;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1], pair?.[2]]));
}

/** A ratio from 0 to 1: `0.1%`, or `0.001`. */
export const ratio: OptionKind<number> = kind({
  placeholder: 'PERCENT',
  schema: reads((written) => {
    const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(written);
    const value = match ? Number(match[1]) / (match[2] ? 100 : 1) : Number.NaN;
    return value <= 1 ? value : undefined;
  }, 'is not a ratio such as 0.1% or 0.001'),
  // Fewer digits than a double has: 0.07 * 100 is 7.000000000000001.
  format: (value) => `${Number((value * 100).toPrecision(12))}%`,
});

/** A port to listen on; 0 lets the system pick one. */
export const listenPort: OptionKind<number> = { ...integer(0, 65_535), placeholder: 'PORT' };

export const remotePort: OptionKind<number> = { ...integer(1, 65_535), placeholder: 'PORT' };

/**
 * A duration in Go's notation, in ms. The longest is that of a Node timer; set `maxMs` for durations that no
 * timer uses. With `zeroIsNever`, `0` disables the time limit and becomes `maxTimerMs`.
 */
export function duration(
  bounds: { readonly minMs?: number; readonly maxMs?: number; readonly zeroIsNever?: boolean } = {},
): OptionKind<number> {
  const { minMs = 0, maxMs = maxTimerMs, zeroIsNever = false } = bounds;
  return kind({
    placeholder: 'DURATION',
    schema: z
      .string()
      .refine((digits) => digits === '0' || !/^\d+$/.test(digits), 'needs a unit, as in 30s')
      .pipe(reads(parseGoDuration, 'is not a duration such as 30s, 1m30s or 500ms'))
      .transform((durationMs) => (durationMs === 0 && zeroIsNever ? maxTimerMs : durationMs))
      .refine((durationMs) => durationMs >= minMs, `is below ${formatGoDuration(minMs)}`)
      .refine(
        (durationMs) => durationMs <= maxMs,
        `is longer than ${Math.floor(maxMs / 86_400_000)} days`,
      ),
    format: (durationMs) =>
      zeroIsNever && durationMs === maxTimerMs ? '0' : formatGoDuration(durationMs),
  });
}

export function byteSize(minBytes: number, maxBytes: number): OptionKind<number> {
  return kind({
    placeholder: 'SIZE',
    schema: reads(parseByteSize, 'is not a size such as 65536, 64KiB or 16MiB').pipe(
      z
        .number()
        .min(minBytes, `is below ${formatByteSize(minBytes)}`)
        .max(maxBytes, `is above ${formatByteSize(maxBytes)}`),
    ),
    format: formatByteSize,
  });
}

export function oneOf<const W extends string>(...words: readonly W[]): OptionKind<W> {
  return kind<W>({
    placeholder: words.join('|'),
    schema: z.custom<W>((word) => words.includes(word as W), `is none of ${words.join(', ')}`),
    emptyIsUnset: true,
  });
}

/** An IPv4 or IPv6 address (brackets are removed), or a host name, without a port. */
export const host: OptionKind<string> = kind({
  placeholder: 'HOST',
  schema: reads(parseHost, 'is neither an IP address nor a host name (a port has its own flag)'),
  emptyIsUnset: true,
});

export const hostPort: OptionKind<HostPort> = kind({
  placeholder: 'HOST:PORT',
  schema: reads(parseHostPort, 'is not HOST:PORT (IPv6 as [ADDRESS]:PORT)'),
  emptyIsUnset: true,
  format: formatHostPort,
});

/** A name for logs, metrics and headers: visible ASCII, at most 253 characters. */
export const identifier: OptionKind<string> = kind({
  placeholder: 'ID',
  schema: z.string().regex(/^[\x21-\x7e]{1,253}$/, 'must be 1 to 253 visible ASCII characters'),
  emptyIsUnset: true,
});

/** An http:// or https:// URL; its password is never logged. */
export const httpUrl: OptionKind<URL> = kind({
  placeholder: 'URL',
  schema: reads((written) => {
    if (!/^https?:\/\//i.test(written) || !URL.canParse(written)) return undefined;
    return new URL(written);
  }, 'is not an http:// or https:// URL'),
  emptyIsUnset: true,
  format: (url) => {
    const shown = new URL(url);
    if (shown.password !== '') shown.password = 'redacted';
    return shown.href;
  },
});

/** Items of one kind, separated by commas or by repeating the flag. */
export function list<T>(item: OptionKind<T>): OptionKind<readonly T[]> {
  return kind<readonly T[]>({
    placeholder: `${item.placeholder},...`,
    schema: z.array(item.schema).readonly(),
    isList: true,
    emptyIsUnset: true,
    format: (values) => values.map((value) => item.format(value)).join(','),
  });
}

/**
 * A list that must not be empty: `--flag=` is an error and not the default.
 * @param complaint the error and the cure: `contains no rule. Remove it ...`
 */
export function filledList<T>(item: OptionKind<T>, complaint: string): OptionKind<readonly T[]> {
  return {
    ...list(item),
    schema: z.array(item.schema).min(1, complaint).readonly(),
    emptyIsUnset: false,
  };
}

export const cipherSuite: OptionKind<string> = kind({
  placeholder: 'SUITE',
  schema: z
    .string()
    .refine(
      (name) => cipherSuiteNames.includes(name),
      'is not a supported cipher suite (use its Go name)',
    ),
});

export const tlsVersion: OptionKind<TlsVersionName> = {
  ...oneOf(...tlsVersionNames),
  placeholder: 'VERSION',
};

/** The hash of a CA's public key, as `openssl` and kubeadm write it. */
export const caHash: OptionKind<string> = kind({
  placeholder: 'HASH',
  schema: z
    .string()
    .toLowerCase()
    .regex(/^sha256:[0-9a-f]{64}$/, 'is not sha256: and 64 hexadecimal digits'),
});

/** A rule about targets: `10.0.0.0/8`, `*.example:443`. */
export const targetRule: OptionKind<TargetRule> = kind({
  placeholder: 'RULE',
  schema: reads(parseTargetRule, badRule),
  format: ({ text: written }) => written,
});
