export interface BuildStamp {
  readonly version: string;
  /** Undefined if the sources were not in a repository. */
  readonly commit: string | undefined;
}

/** Undefined here; a bundle replaces this module (scripts/src/bundle.ts). */
export const buildStamp: BuildStamp | undefined = undefined;
