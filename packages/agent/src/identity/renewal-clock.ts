import type { X509Certificate } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

/** A certificate is renewed when this part of its time is over, and at random up to that part more. */
const dueFrom = 0.6;
const dueSpread = 0.1;
/** A machine may sleep, or its clock be set, while a timer runs: no look at the clock is further off. */
const longestPauseMs = 600_000;
const retryPart = 0.01;
const minRetryMs = 1000;
const maxRetryMs = 3_600_000;

/** Says when a certificate is due: once in its life, and after a failure again and again. */
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

  /** Waits, without keeping the process alive. @returns false once the signal is aborted */
  async untilDue(certificate: X509Certificate): Promise<boolean> {
    while (!this.#signal.aborted) {
      const restMs = Math.max(this.#dueAt(certificate), this.#retryAt) - Date.now();
      if (restMs <= 0) return true;
      const signal = this.#signal;
      await pause(Math.min(restMs, longestPauseMs), undefined, { signal, ref: false }).catch(
        () => undefined,
      );
    }
    return false;
  }

  onRenewed(certificate: X509Certificate): void {
    this.#part = this.#drawPart();
    this.#failures = 0;
    // With a clock far ahead, or an issuer that ends itself, the new one is due from its first moment.
    this.#retryAt = Date.now() + Math.max(minRetryMs, lifetimeOf(certificate) / 10);
  }

  /** @returns the pause before the next attempt: a hundredth of the lifetime, then longer each time */
  onFailed(certificate: X509Certificate): number {
    const firstMs = lifetimeOf(certificate) * retryPart;
    const ceilingMs = Math.min(maxRetryMs, Math.max(minRetryMs, firstMs * 2 ** this.#failures));
    this.#failures = Math.min(this.#failures + 1, 10);
    const retryMs = ceilingMs * (0.5 + this.#random() / 2);
    this.#retryAt = Date.now() + retryMs;
    return retryMs;
  }

  #dueAt(certificate: X509Certificate): number {
    return Date.parse(certificate.validFrom) + lifetimeOf(certificate) * this.#part;
  }

  #drawPart(): number {
    return dueFrom + this.#random() * dueSpread;
  }
}

/** When the certificate ends, in milliseconds since 1970. */
export const expiryOf = ({ validTo }: X509Certificate): number => Date.parse(validTo);

/** From the first to the last moment of a certificate. */
export const lifetimeOf = (certificate: X509Certificate): number =>
  expiryOf(certificate) - Date.parse(certificate.validFrom);
