/** docs/configuration.md out of the option tables. */
import type { AnyOption, InertOption, LiveOption } from './option.ts';
import { defaultText, optionsByGroup } from './option-help.ts';
import { type AnyOptionTable, envName } from './option-table.ts';

/**
 * The whole page, in Markdown, for the given programs.
 *
 * The texts in it that hold for all programs live here, beside the code that makes them true.
 */
export function configurationDocs(tables: readonly AnyOptionTable[]): string {
  const names = tables
    .map(({ program }) => `[${program}](#${program.replaceAll(' ', '-')})`)
    .join(', ');
  return `${[introduction(names), ...tables.map(programDocs)].join('\n\n')}\n`;
}

function introduction(programs: string): string {
  return `# Configuration

<!-- Made from the option tables by \`npm run docs\`; edit the tables, not this page. -->

The options of ${programs}.
Names and meanings are those of Konnectivity's proxy-server and proxy-agent, so that a manifest can
swap the image and keep its arguments.

## How options are given

Each option can be given in three places; the first that has it wins:

1. a flag: \`--agent-port=8091\` or \`--agent-port 8091\`
2. an environment variable: \`FAIRLEAD_AGENT_PORT=8091\` (an empty variable counts as not set)
3. a key in the file that \`--config\` or \`FAIRLEAD_CONFIG\` names, YAML or JSON: \`agent-port: 8091\`

A mistake ends the program with exit code 2 and one line on stderr that names the flag, the variable or
the file and line. \`--help\` shows all flags, \`--version\` the version.

| kind | written as |
| --- | --- |
| boolean | \`--flag\`, \`--flag=true\`, \`--flag=false\`, also \`1\`, \`0\`, \`t\`, \`f\`; never \`--flag false\` |
| duration | as in Go: \`1h\`, \`1m30s\`, \`500ms\`; at most 24 days, unless the option says more |
| size | bytes, or with a unit: \`65536\`, \`64KiB\`, \`16MiB\`, \`1GiB\` |
| list | separated by commas, or the flag repeated; in a file also a YAML list |
| port to listen on | \`0\` lets the system pick one; the \`listening\` line in the log tells which |

In Kubernetes, a Service named \`fairlead-agent\` or \`fairlead-server\` puts variables such as
\`FAIRLEAD_AGENT_PORT=tcp://10.0.0.1:8091\` into the pods of its namespace. They are not used, with a
warning; \`enableServiceLinks: false\` in the pod keeps them out.

## Where the defaults differ from Konnectivity's

| option | Konnectivity | here | why |
| --- | --- | --- | --- |
| \`--backend-dial-timeout\` | \`0\`, no limit | \`30s\` | a dial that never ends holds a client forever |
| \`--graceful-shutdown-timeout\` | \`0\` | \`25s\` | an update must not cut \`kubectl logs\`; below the 30 s that Kubernetes gives |
| \`--keepalive-time\` | \`1h\` | no effect | a dead tunnel is found in seconds, by \`--ping-interval\` and \`--ping-timeout\` |
| \`--sync-interval\`, \`--sync-interval-cap\` | \`1s\`, \`10s\` | \`500ms\`, \`5s\` | a server that was replaced is found sooner |
| \`--mode\` | \`grpc\` | both protocols | they are told apart by their first bytes |
| \`--cluster-ca-cert\` | may be left out | required | without it anyone could join as an agent |
| \`--server-ca-cert\` | may be left out | required for TCP | without it anyone could use the tunnels |
| \`--log-file\` with \`--logtostderr=false\` | not written | written | the flags say so |

klog's \`-v\` up to 4 logs at \`info\`: Konnectivity's manifests carry \`-v=4\`, and \`debug\` here tells about
every stream.`;
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
    sections.push(`### ${title}\n\n| flag | in Konnectivity | here |\n| --- | --- | --- |`);
    sections.push(...rows.map(([name, option]) => inertRow(name, option)));
  }
  // A table's rows follow its head directly; a heading has an empty line before it.
  return sections.join('\n').replaceAll('\n###', '\n\n###');
}

const inertKinds = [
  { standing: 'ignored', title: 'Accepted without effect, with a warning' },
  { standing: 'refused', title: 'Not supported yet: an error unless it asks for nothing' },
] as const;

function isInert(entry: [string, AnyOption]): entry is [string, InertOption] {
  return entry[1].standing !== 'live';
}

function liveRow(name: string, option: LiveOption<unknown>): string {
  const short = option.short ? `\`-${option.short}\`, ` : '';
  const variables = [envName(name), ...(option.env ?? [])].map((variable) => `\`${variable}\``);
  const kept = [
    option.description,
    option.deprecated && `Deprecated: ${option.deprecated}`,
    option.required && 'Required',
  ].filter(Boolean);
  return row([
    option.notAsFlag === undefined
      ? `${short}\`--${name}${option.kind.placeholder && ` ${option.kind.placeholder}`}\``
      : 'never a flag',
    variables.join(', '),
    defaultCell(option),
    kept.join('. '),
  ]);
}

function inertRow(name: string, option: InertOption): string {
  const usual = defaultText(option);
  const meaning = usual === undefined ? option.description : `${option.description} (\`${usual}\`)`;
  return row([`\`--${name}\``, meaning, option.reason]);
}

/** Words stand plain, values as code. */
function defaultCell(option: LiveOption<unknown>): string {
  const written = defaultText(option);
  if (written === undefined) return '';
  return option.defaultText === undefined ? `\`${written}\`` : written;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
