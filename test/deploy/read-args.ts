import { agentOptions } from '@fairlead/agent/options';
import { issuerOptions } from '@fairlead/pki/issuer/options';
import { parseOptions } from '@fairlead/runtime/options';
import { serverOptions } from '@fairlead/server/options';

/**
 * Parses a container's arguments with the option table of its program.
 *
 * @throws UsageError for arguments that the program refuses
 */
export function readArgs(program: 'server' | 'agent' | 'issuer', argv: readonly string[]) {
  const input = { argv, env: {} };
  if (program === 'issuer') return parseOptions(issuerOptions, input);
  return program === 'server'
    ? parseOptions(serverOptions, input)
    : parseOptions(agentOptions, input);
}
