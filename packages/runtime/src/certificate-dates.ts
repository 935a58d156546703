/** A certificate's dates, as Node writes them in either of its classes. */
export interface CertificateDates {
  readonly from: string;
  readonly to: string;
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
