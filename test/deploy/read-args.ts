import { agentOptions } from '@fairlead/agent/options';
import { type ParsedOptions, parseOptions, UsageError } from '@fairlead/runtime';
import { serverOptions } from '@fairlead/server/options';

type Parsed =
  | ParsedOptions<typeof serverOptions.options>
  | ParsedOptions<typeof agentOptions.options>;

/** Arguments as this version takes them; `unsupported` says why it does not yet. */
export type ReadArgs =
  | { readonly unsupported: string }
  | { readonly unsupported?: undefined; readonly parsed: Parsed };

/**
 * Reads a container's arguments by the option table of its program.
 *
 * @throws UsageError for arguments that the program refuses as a mistake
 */
export function readArgs(program: 'server' | 'agent', argv: readonly string[]): ReadArgs {
  try {
    const input = { argv, env: {} };
    const parsed =
      program === 'server' ? parseOptions(serverOptions, input) : parseOptions(agentOptions, input);
    return { parsed };
  } catch (error) {
    if (!(error instanceof UsageError) || !/not supported yet/.test(error.message)) throw error;
    return { unsupported: error.message };
  }
}
