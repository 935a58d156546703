/** Generates docs/configuration.md from the option tables. */
import { defaultText, optionsByGroup } from './option-help.ts';
import {
  type AnyOption,
  type AnyOptionTable,
  envName,
  type InertOption,
  type LiveOption,
} from './option-table.ts';

/**
 * The whole page in Markdown, for the given programs. Texts about all programs are here, next to the code that
 * implements them.
 */
export function configurationDocs(tables: readonly AnyOptionTable[]): string {
  const names = tables
    .map(({ program }) => `[${program}](#${program.replaceAll(' ', '-')})`)
    .join(', ');
  return `${[introduction(names), ...tables.map(programDocs)].join('\n\n')}\n`;
}

function introduction(programs: string): string {
  return `# Configuration

<!-- Generated from the option tables by \`npm run docs\`. Edit the tables, not this page. -->

All options of ${programs}.
Their names and meanings are those of Konnectivity's proxy-server and proxy-agent, so you can swap the image in a
manifest and keep the arguments.

## Set an option

You can set each option in three places. If several set it, the first one wins:

1. a flag: \`--agent-port=8091\` or \`--agent-port 8091\`
2. an environment variable: \`FAIRLEAD_AGENT_PORT=8091\` (an empty variable counts as not set)
3. a key in the file that \`--config\` or \`FAIRLEAD_CONFIG\` names, in YAML or JSON: \`agent-port: 8091\`

A mistake ends the program with exit code 2 and one line on stderr, which names the flag, the variable, or the
file and line. \`--help\` lists all flags, \`--version\` prints the version.

| kind | written as |
| --- | --- |
| boolean | \`--flag\`, \`--flag=true\`, \`--flag=false\`, also \`1\`, \`0\`, \`t\`, \`f\`; not \`--flag false\` |
| duration | as in Go: \`1h\`, \`1m30s\`, \`500ms\`; at most 24 days unless the option says otherwise |
| size | bytes, or with a unit: \`65536\`, \`64KiB\`, \`16MiB\`, \`1GiB\` |
| list | items separated by commas, or the flag repeated; in a file also a YAML list |
| port to listen on | \`0\` lets the system pick one; the \`listening\` log line shows it |

In Kubernetes, a Service named \`fairlead-agent\` or \`fairlead-server\` sets variables such as
\`FAIRLEAD_AGENT_PORT=tcp://10.0.0.1:8091\` in the pods of its namespace. Fairlead ignores them with a warning. To
avoid the warning, set \`enableServiceLinks: false\` in the pod.

## Differences from Konnectivity's defaults

| option | Konnectivity | Fairlead | reason |
| --- | --- | --- | --- |
| \`--backend-dial-timeout\` | \`0\`, no limit | \`30s\` | a dial that never ends blocks its client forever |
| \`--graceful-shutdown-timeout\` | \`0\` | \`25s\` | an update must not cut off \`kubectl logs\`; below the 30 s that Kubernetes allows |
| \`--keepalive-time\` | \`1h\` | no effect | \`--ping-interval\` and \`--ping-timeout\` detect a dead tunnel in seconds |
| \`--sync-interval\`, \`--sync-interval-cap\` | \`1s\`, \`10s\` | \`500ms\`, \`5s\` | agents find a replaced server sooner |
| \`--mode\` | \`grpc\` | both protocols | the first bytes of a connection tell them apart |
| \`--cluster-ca-cert\` | optional | required, unless \`--agent-namespace\` and the other token options are set | otherwise anyone could join as an agent |
| \`--server-ca-cert\` | optional | required for TCP | otherwise anyone could use the tunnels |
| \`--log-file\` with \`--logtostderr=false\` | not written | written | the flags ask for it |

klog's \`-v\` up to 4 means \`info\`: Konnectivity's manifests set \`-v=4\`, while \`debug\` here logs every stream.`;
}

function programDocs(table: AnyOptionTable): string {
  const sections = [`## ${table.program}`];
  for (const [group, options] of optionsByGroup(table)) {
    const rows = options.map(([name, option]) => liveRow(name, option));
    sections.push(
      `### ${group}\n\n| flag | variable | default | meaning |\n| --- | --- | --- | --- |`,
    );
    sections.push(...rows);
  }
  const inert = Object.entries(table.options).filter(isInert);
  for (const { standing, title } of inertKinds) {
    const rows = inert.filter(([, option]) => option.standing === standing);
    if (rows.length === 0) continue;
    sections.push(`### ${title}\n\n| flag | in Konnectivity | in Fairlead |\n| --- | --- | --- |`);
    sections.push(...rows.map(([name, option]) => inertRow(name, option)));
  }
  // A table has no empty line after its head; a heading needs one before it.
  return sections.join('\n').replaceAll('\n###', '\n\n###');
}

const inertKinds = [
  { standing: 'ignored', title: 'Ignored with a warning' },
  { standing: 'refused', title: 'Not supported: an error unless set to the default' },
] as const;

function isInert(entry: [string, AnyOption]): entry is [string, InertOption] {
  return entry[1].standing !== 'live';
}

function liveRow(name: string, option: LiveOption<unknown>): string {
  const short = option.short ? `\`-${option.short}\`, ` : '';
  const variables = [envName(name), ...(option.env ?? [])].map((variable) => `\`${variable}\``);
  const meaning = [
    option.description,
    option.deprecated && `Deprecated: ${option.deprecated}`,
    option.required && 'Required',
  ].filter(Boolean);
  return row([
    option.notAsFlag === undefined
      ? `${short}\`--${name}${option.kind.placeholder && ` ${option.kind.placeholder}`}\``
      : 'not a flag',
    variables.join(', '),
    defaultCell(option),
    meaning.join('. '),
  ]);
}

function inertRow(name: string, option: InertOption): string {
  const usual = defaultText(option);
  const meaning = usual === undefined ? option.description : `${option.description} (\`${usual}\`)`;
  return row([`\`--${name}\``, meaning, option.reason]);
}

/** A default value as code; a description of the default as plain text. */
function defaultCell(option: LiveOption<unknown>): string {
  const written = defaultText(option);
  if (written === undefined) return '';
  return option.defaultText === undefined ? `\`${written}\`` : written;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
