import { nearestName } from '../nearest-name.ts';
import {
  type AnyOptionTable,
  aliases,
  envName,
  findOption,
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
  return { values, warnings: [...warnings, ...unknownVariables(table, env)] };
}

/** What Kubernetes sets for a Service whose name begins with "fairlead-", besides NAME_PORT=tcp://…. */
const serviceLink =
  /_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?$/;

/** Variables of the test suites, of the images, and of a server for its workers. */
const otherVariable = /^FAIRLEAD_(TEST_|BUILD_|BIN_DIR$|TAG$|SERVER_WORKER$)/;

/** Only for the programs, which have a configuration file: commands share an environment with each other. */
function unknownVariables(
  table: AnyOptionTable,
  env: Readonly<Record<string, string | undefined>>,
): string[] {
  if (!findOption(table, 'config')) return [];
  const known = new Set([...Object.keys(table.options), ...aliases(table).keys()].map(envName));
  return Object.entries(env)
    .filter(([name, text = '']) => {
      const isOurs = name.startsWith('FAIRLEAD_') && !known.has(name) && !otherVariable.test(name);
      return isOurs && text !== '' && !serviceLink.test(name) && !isServiceLink(text);
    })
    .map(([name]) => {
      const nearest = nearestName(name, known);
      const cure = nearest ? `did you mean ${nearest}?` : `see ${table.program} --help`;
      return `${name} is not an option of ${table.program} and has no effect: ${cure}`;
    });
}

/**
 * For a Service "fairlead-agent", Kubernetes sets FAIRLEAD_AGENT_PORT=tcp://10.0.0.1:8091 in the pods of its
 * namespace. --agent-port has the same variable.
 */
function isServiceLink(text: string): boolean {
  return /^(tcp|udp|sctp):\/\/.+:\d+$/.test(text);
}
