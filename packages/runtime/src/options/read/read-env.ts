import { type AnyOptionTable, aliases, envName } from '../option-table.ts';
import type { RawValue, RawValues } from './raw-value.ts';

/** Environment variables; `process.env` fits. */
export type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads FAIRLEAD_<NAME> and the further names that an option declares. An empty variable counts as
 * not set, which is what `VAR=${UNSET}` in a manifest means.
 */
export function readEnv(
  table: AnyOptionTable,
  env: Env,
): { values: RawValues; warnings: readonly string[] } {
  const values = new Map<string, RawValue>();
  const warnings: string[] = [];
  for (const name of [...Object.keys(table.options), ...aliases(table).keys()]) {
    const option = table.options[name];
    const furtherNames = option?.standing === 'live' ? (option.env ?? []) : [];
    for (const variable of [envName(name), ...furtherNames]) {
      const text = env[variable];
      if (text === undefined || text === '' || values.has(name)) continue;
      if (name.endsWith('-port') && isServiceLink(text)) {
        warnings.push(
          `${variable}=${text} comes from a Kubernetes service link and is not used: set enableServiceLinks: false in the pod`,
        );
        continue;
      }
      values.set(name, { texts: [text], isItems: false, source: 'env', origin: variable });
    }
  }
  return { values, warnings };
}

/**
 * Kubernetes gives pods of a namespace with a Service "fairlead-agent" the variable
 * FAIRLEAD_AGENT_PORT=tcp://10.0.0.1:8091, the very name of --agent-port's variable.
 */
function isServiceLink(text: string): boolean {
  return /^(tcp|udp|sctp):\/\/.+:\d+$/.test(text);
}
