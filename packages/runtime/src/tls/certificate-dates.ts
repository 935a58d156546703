/** A certificate's dates, as Node writes them in either of its classes. */
export interface CertificateDates {
  readonly from: string;
  readonly to: string;
}

/** OpenSSL's verdicts of which the two times say more, as Node names them. */
const untimely: readonly unknown[] = ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'];

/**
 * What is to be said of a peer's certificate that was refused for its dates, or undefined when it was for
 * another reason, or for those of a CA above it.
 * @param verdict OpenSSL's
 */
export function explainUntimely(
  verdict: unknown,
  certificate: CertificateDates,
  clock: string,
): string | undefined {
  const dates = untimely.includes(verdict) ? explainDates(certificate, clock) : undefined;
  return dates && `it ${dates}; check both clocks`;
}

/**
 * What is to be said of a certificate that is out of its time, or undefined when it is not: with both times,
 * since it may be a clock that is wrong.
 * @param clock whose `now` is: `the clock of this machine`
 */
export function explainDates(
  { from, to }: CertificateDates,
  clock: string,
  now: Date = new Date(),
): string | undefined {
  const [notBefore, notAfter] = [new Date(from), new Date(to)];
  const says = `and ${clock} says ${now.toISOString()}`;
  if (notAfter < now) return `expired at ${notAfter.toISOString()}, ${says}`;
  if (notBefore > now) return `is not valid before ${notBefore.toISOString()}, ${says}`;
  return undefined;
}
