import { release } from '@fairlead/runtime/process';

/** The version of this release. */
export const { version } = release;
