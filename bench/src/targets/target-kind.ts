/** The kinds of targets. */
export type TargetKind = 'sink' | 'source' | 'echo' | 'http' | 'https';

/** The argument of a target process. `https` uses the certificate. */
export interface TargetOrder {
  readonly kind: TargetKind;
  readonly cert: string;
  readonly key: string;
}
