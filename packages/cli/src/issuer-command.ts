import { createIssuer, issuerOptions } from '@fairlead/issuer';
import { runProgram } from '@fairlead/runtime';
import { programVersion } from './program-version.ts';

/** `fairlead issuer`. */
export const runIssuerCommand = (argv: readonly string[]): Promise<void> =>
  runProgram(
    {
      table: issuerOptions,
      version: programVersion(),
      start: ({ options, logger }) => createIssuer(options, logger),
    },
    { argv, env: process.env },
  );
