import { PkiError } from './pki-error.ts';

/** Both ends belong to the period (RFC 5280, 4.1.2.5). Whole seconds. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const SECOND_MS = 1000;
const DAY_MS = 86_400_000;

/** A peer whose clock is this much behind still takes a certificate that was made just now. */
const BACKDATE_MS = 300_000;

/** Keeps notAfter far below the year 9999, the last that X.509 can write. */
const MAX_DAYS = 36_500;

/** A period of `days` from now, opened 5 minutes early. Throws PkiError `bad_days`. */
export function validityFrom(now: Date, days: number): Validity {
  if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS) {
    throw new PkiError('bad_days', `${days} is not a whole number of days from 1 to ${MAX_DAYS}`);
  }
  return validityFor(now, days * DAY_MS);
}

/**
 * A period from now, opened early by 5 minutes, or by a tenth of a lifetime of less than 50: who renews
 * at a part of the whole period must not find that part over when it begins.
 */
export function validityFor(now: Date, lifetimeMs: number): Validity {
  const backdateMs = Math.min(BACKDATE_MS, lifetimeMs / 10);
  return {
    notBefore: wholeSeconds(now.getTime() - backdateMs),
    notAfter: wholeSeconds(now.getTime() + lifetimeMs),
  };
}

const wholeSeconds = (timeMs: number): Date => new Date(Math.floor(timeMs / SECOND_MS) * SECOND_MS);

/** Cuts a period down to what lies within another. */
export function clampValidity(wanted: Validity, outer: Validity): Validity {
  return {
    notBefore: new Date(Math.max(wanted.notBefore.getTime(), outer.notBefore.getTime())),
    notAfter: new Date(Math.min(wanted.notAfter.getTime(), outer.notAfter.getTime())),
  };
}

/** Throws PkiError `authority_unusable` unless `now` lies within an authority's period. */
export function refuseOutside(now: Date, { notBefore, notAfter }: Validity): void {
  if (now > notAfter) {
    throw new PkiError(
      'authority_unusable',
      `the CA certificate expired at ${notAfter.toISOString()}, and the clock of this machine says ${now.toISOString()}`,
    );
  }
  if (now < notBefore) {
    throw new PkiError(
      'authority_unusable',
      `the CA certificate is not valid before ${notBefore.toISOString()}, and the clock of this machine says ${now.toISOString()}`,
    );
  }
}
