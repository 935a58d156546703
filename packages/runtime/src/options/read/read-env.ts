import {
  type AnyOptionTable,
  aliases,
  envName,
  type RawValue,
  type RawValues,
} from '../option-table.ts';

/**
 * Reads FAIRLEAD_<NAME> and the other variables that an option declares. An empty variable counts as not set,
 * since `VAR=${UNSET}` in a manifest means that.
 */
export function readEnv(
  table: AnyOptionTable,
  env: Readonly<Record<string, string | undefined>>,
): { values: RawValues; warnings: readonly string[] } {
  const values = new Map<string, RawValue>();
  const warnings: string[] = [];
  for (const name of [...Object.keys(table.options), ...aliases(table).keys()]) {
    const option = table.options[name];
    const otherNames = option?.standing === 'live' ? (option.env ?? []) : [];
    for (const variable of [envName(name), ...otherNames]) {
      const text = env[variable];
      if (text === undefined || text === '' || values.has(name)) continue;
      if (name.endsWith('-port') && isServiceLink(text)) {
        warnings.push(
          `${variable}=${text} comes from a Kubernetes service link and is ignored: set enableServiceLinks: false in the pod`,
        );
        continue;
      }
      values.set(name, { texts: [text], isItems: false, source: 'env', origin: variable });
    }
  }
  return { values, warnings };
}

/**
 * For a Service "fairlead-agent", Kubernetes sets FAIRLEAD_AGENT_PORT=tcp://10.0.0.1:8091 in the pods of its
 * namespace. --agent-port has the same variable.
 */
function isServiceLink(text: string): boolean {
  return /^(tcp|udp|sctp):\/\/.+:\d+$/.test(text);
}
