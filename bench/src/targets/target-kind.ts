/** What a stream can lead to. */
export type TargetKind = 'sink' | 'source' | 'echo' | 'http' | 'https';

/** What a target process is told; the certificate is for `https`. */
export interface TargetOrder {
  readonly kind: TargetKind;
  readonly cert: string;
  readonly key: string;
}
