import { hasFigures, type MeasureResults, type Results, type SystemResults } from '../results.ts';
import { judge, type Verdict } from './bars.ts';
import { columnTitle, formatFigure } from './figures.ts';
import { shownColumns } from './shown-columns.ts';

/** The text of RESULTS.md. It links to `charts/MEASURE.svg`. */
export function markdown(results: Results): string {
  return [
    '# Benchmark results',
    '',
    '`npm run bench` writes this file. Do not edit it. Figures depend on the machine, so compare systems within',
    'one run. Each figure is the median of all rounds. In each round, all systems run in turn.',
    '',
    ...machineSection(results),
    ...systemsSection(results),
    ...barsSection(judge(results)),
    ...results.measures.flatMap(measureSection),
  ].join('\n');
}

function machineSection({ machine, runs }: Results): string[] {
  return [
    '## Machine and command',
    '',
    `- ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`,
    `- Systems in Node run on ${machine.systemsNode}, load generators and targets on ${machine.node}`,
    ...runLines(runs),
    '',
    'Client, server, agent and target are separate processes on the same cores. Clients use a Unix domain socket',
    '(UDS) if the system has one, and otherwise loopback TCP. Except for `direct`, the tunnel uses TLS or SSH over',
    'loopback TCP. 1 MB is a million bytes. CPU time includes all threads and comes from /proc. Peaks are of',
    'resident memory, from the start of the system for the measure.',
    '',
  ];
}

/** The runs of one command share a line. Only the first run's load average excludes the load of the bench. */
function runLines(runs: Results['runs']): string[] {
  const byKind = new Map<string, Results['runs'][number][]>();
  for (const run of runs) {
    const kind = JSON.stringify([run.command, run.seconds, run.rounds]);
    byKind.set(kind, [...(byKind.get(kind) ?? []), run]);
  }
  return [...byKind.values()].map((kind) => {
    const inOrder = kind.sort((a, b) => a.startedAt.localeCompare(b.startedAt));
    const { startedAt, command, seconds, rounds, loadAverage } = inOrder[0]!;
    const load = `load average at the start ${loadAverage.toFixed(1)}`;
    const how = `${rounds} rounds of ${seconds} s, ${load}`;
    return `- ${startedAt}: \`${command}\` (${how})`;
  });
}

function systemsSection({ systems, missing }: Results): string[] {
  return [
    '## Systems',
    '',
    '| system | version | what it is |',
    '| --- | --- | --- |',
    ...systems.map(({ name, version, about }) => `| ${name} | ${version ?? ''} | ${about} |`),
    ...missing.map(({ name, reason }) => `| ${name} | | not installed. Run: \`${reason}\` |`),
    '',
  ];
}

function barsSection(verdicts: readonly Verdict[]): string[] {
  return [
    '## Performance bars',
    '',
    '| measure | bar | result | verdict |',
    '| --- | --- | ---: | --- |',
    ...verdicts.map(
      ({ measure, bar, found, state }) =>
        `| ${measure} | ${bar} | ${formatFigure(found)} | ${state === 'met' ? state : `**${state}**`} |`,
    ),
    '',
  ];
}

function measureSection(measure: MeasureResults): string[] {
  const columns = shownColumns(measure);
  const titles = columns.map((column) => columnTitle(column, ', '));
  const present = measure.systems.filter(({ rounds }) => rounds.length > 0);
  const figures = [
    `![${measure.title}](charts/${measure.name}.svg)`,
    '',
    `| | ${titles.join(' | ')} |`,
    `| --- |${columns.map(() => ' ---: |').join('')}`,
    ...present.map(
      ({ system, medians }) =>
        `| ${system} | ${columns.map(({ key }) => formatFigure(medians[key])).join(' | ')} |`,
    ),
    '',
  ];
  return [
    `## ${measure.title}`,
    '',
    `\`--only ${measure.name}\`: ${measure.about}`,
    '',
    ...(hasFigures(measure) ? figures : []),
    ...failureLines(measure.systems),
  ];
}

function failureLines(systems: readonly SystemResults[]): string[] {
  const lines = systems.flatMap(({ system, failures, excluded }) => [
    ...(excluded === undefined ? [] : [`- ${system} is omitted: ${excluded}`]),
    ...failures.map((failure) => `- ${system} failed in a round: ${failure.split('\n')[0]}`),
  ]);
  return lines.length === 0 ? [] : [...lines, ''];
}
