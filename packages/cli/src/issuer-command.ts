import { createIssuer, issuerOptions } from '@fairlead/pki/issuer';
import { release, runProgram } from '@fairlead/runtime/process';

export const runIssuerCommand = (argv: readonly string[]): Promise<void> =>
  runProgram(
    {
      table: issuerOptions,
      ...release,
      start: ({ options, logger }) => createIssuer(options, logger),
    },
    { argv, env: process.env },
  );
