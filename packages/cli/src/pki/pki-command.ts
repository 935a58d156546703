import { type CommandSet, runNamedCommand } from '../command-set.ts';
import { pkiInit } from './pki-init.ts';
import { pkiIssue } from './pki-issue.ts';
import { pkiIssuer } from './pki-issuer.ts';

const pki: CommandSet = {
  program: 'fairlead pki',
  summary: 'Make certificates for the server, its agents and its clients',
  commands: { init: pkiInit, issue: pkiIssue, issuer: pkiIssuer },
};

/** `fairlead pki`: its own commands are init, issue and issuer. */
export const runPkiCommand = (argv: readonly string[]): Promise<void> => runNamedCommand(pki, argv);
