import { release } from '@fairlead/runtime';

/** The version that all of Fairlead shares. */
export const { version } = release;
