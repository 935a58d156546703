import { type CommandSet, runNamedCommand } from '../command-set.ts';
import { tokenCreate } from './token-create.ts';
import { tokenList } from './token-list.ts';
import { tokenRevoke } from './token-revoke.ts';

const token: CommandSet = {
  program: 'fairlead token',
  summary: 'Create, list and revoke the tokens with which agents join',
  commands: { create: tokenCreate, list: tokenList, revoke: tokenRevoke },
};

/** `fairlead token`: its own commands are create, list and revoke. */
export const runTokenCommand = (argv: readonly string[]): Promise<void> =>
  runNamedCommand(token, argv);
