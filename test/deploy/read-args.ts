import { agentOptions } from '@fairlead/agent/options';
import { parseOptions } from '@fairlead/runtime';
import { serverOptions } from '@fairlead/server/options';

/**
 * Reads a container's arguments by the option table of its program.
 *
 * @throws UsageError for arguments that the program refuses
 */
export function readArgs(program: 'server' | 'agent', argv: readonly string[]) {
  const input = { argv, env: {} };
  return program === 'server'
    ? parseOptions(serverOptions, input)
    : parseOptions(agentOptions, input);
}
