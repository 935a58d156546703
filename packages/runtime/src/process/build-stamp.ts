/** What a bundle was made of. */
export interface BuildStamp {
  readonly version: string;
  /** Undefined where the sources were in no repository. */
  readonly commit: string | undefined;
}

/** Undefined here: a bundle has the real thing in this module's place (scripts/src/bundle.ts). */
export const buildStamp: BuildStamp | undefined = undefined;
