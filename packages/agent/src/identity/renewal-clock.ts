import type { X509Certificate } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

/** A certificate is renewed after this part of its lifetime, plus a random part up to DUE_SPREAD. */
const DUE_FROM = 0.6;
const DUE_SPREAD = 0.1;
/** The clock is read at least this often: while a timer runs, the machine can sleep or its clock can be set. */
const MAX_PAUSE_MS = 600_000;
/** The first retry waits for this part of the lifetime. */
const RETRY_PART = 0.01;
const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 3_600_000;

/** Decides when a certificate is renewed: once in its lifetime, and with growing pauses after failures. */
export class RenewalClock {
  readonly #signal: AbortSignal;
  readonly #random: () => number;
  #part: number;
  #failures = 0;
  #retryAt = 0;

  constructor(signal: AbortSignal, random: () => number = Math.random) {
    this.#signal = signal;
    this.#random = random;
    this.#part = this.#drawPart();
  }

  /** Waits until the renewal is due, without keeping the process alive. @returns false if the signal is aborted */
  async untilDue(certificate: X509Certificate): Promise<boolean> {
    while (!this.#signal.aborted) {
      const restMs = Math.max(this.#dueAt(certificate), this.#retryAt) - Date.now();
      if (restMs <= 0) return true;
      const signal = this.#signal;
      await pause(Math.min(restMs, MAX_PAUSE_MS), undefined, { signal, ref: false }).catch(
        () => undefined,
      );
    }
    return false;
  }

  onRenewed(certificate: X509Certificate): void {
    this.#part = this.#drawPart();
    this.#failures = 0;
    // If this machine's clock is far ahead, or the issuer's CA expires soon, the new certificate is due at once.
    this.#retryAt = Date.now() + Math.max(MIN_RETRY_MS, lifetimeOf(certificate) / 10);
  }

  /** @returns the pause before the next attempt, in ms: a hundredth of the lifetime, then longer each time */
  onFailed(certificate: X509Certificate): number {
    const firstMs = lifetimeOf(certificate) * RETRY_PART;
    const ceilingMs = Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, firstMs * 2 ** this.#failures));
    this.#failures = Math.min(this.#failures + 1, 10);
    const retryMs = ceilingMs * (0.5 + this.#random() / 2);
    this.#retryAt = Date.now() + retryMs;
    return retryMs;
  }

  #dueAt(certificate: X509Certificate): number {
    return Date.parse(certificate.validFrom) + lifetimeOf(certificate) * this.#part;
  }

  #drawPart(): number {
    return DUE_FROM + this.#random() * DUE_SPREAD;
  }
}

/** When the certificate expires, in milliseconds since 1970. */
export const expiryOf = ({ validTo }: X509Certificate): number => Date.parse(validTo);

/** The time from start to end of a certificate's validity, in milliseconds. */
export const lifetimeOf = (certificate: X509Certificate): number =>
  expiryOf(certificate) - Date.parse(certificate.validFrom);
