import { type CommandSet, runNamedCommand } from '../command-set.ts';
import { tokenCreate } from './token-create.ts';
import { tokenList } from './token-list.ts';
import { tokenRevoke } from './token-revoke.ts';

const token: CommandSet = {
  program: 'fairlead token',
  summary: 'Make tokens by which agents join, list and revoke them',
  commands: { create: tokenCreate, list: tokenList, revoke: tokenRevoke },
};

/** `fairlead token`: its own commands are create, list and revoke. */
export const runTokenCommand = (argv: readonly string[]): Promise<void> =>
  runNamedCommand(token, argv);
