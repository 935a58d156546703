import { PkiError } from './pki-error.ts';

/** A period in whole seconds, both ends included (RFC 5280, 4.1.2.5). */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const SECOND_MS = 1000;
const DAY_MS = 86_400_000;

/** A peer whose clock is this much behind still accepts a new certificate. */
const BACKDATE_MS = 300_000;

/** Keeps notAfter far below the year 9999, the last one that X.509 can express. */
const MAX_DAYS = 36_500;

/** A period that begins 5 minutes before `now` and ends `days` after it. Throws PkiError `bad_days`. */
export function validityFrom(now: Date, days: number): Validity {
  if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS) {
    throw new PkiError('bad_days', `${days} is not a whole number of days from 1 to ${MAX_DAYS}`);
  }
  return validityFor(now, days * DAY_MS);
}

/**
 * A period that begins 5 minutes before `now`, or a tenth of the lifetime if that is less, and ends
 * `lifetimeMs` after it. A tenth, because an agent renews after a fraction of the whole period: that moment
 * must not have passed when the certificate is made.
 */
export function validityFor(now: Date, lifetimeMs: number): Validity {
  const backdateMs = Math.min(BACKDATE_MS, lifetimeMs / 10);
  return {
    notBefore: wholeSeconds(now.getTime() - backdateMs),
    notAfter: wholeSeconds(now.getTime() + lifetimeMs),
  };
}

const wholeSeconds = (timeMs: number): Date => new Date(Math.floor(timeMs / SECOND_MS) * SECOND_MS);

/** The part of a period that lies within another. */
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
