import { release } from '@fairlead/runtime/process';

/** The version that all of Fairlead shares. */
export const { version } = release;
