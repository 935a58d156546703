import { hasFigures, type MeasureResults, type Results, type SystemResults } from '../results.ts';
import { judge, type Verdict } from './bars.ts';
import { formatFigure } from './figures.ts';
import { shownColumns } from './shown-columns.ts';

/** The whole report. Charts are expected at `charts/MEASURE.svg`. */
export function markdown(results: Results): string {
  return [
    '# Results of the bench',
    '',
    'Written by `npm run bench`; do not edit. Absolute figures drift with the machine, ratios within',
    'one run are what to trust. Figures are medians over the rounds; systems take turns in each round.',
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
    `- Systems in Node run on ${machine.systemsNode}; load generators and targets on ${machine.node}`,
    ...runLines(runs),
    '',
    "Client, server, agent and target are processes of their own on the same cores. The client's leg",
    "is a Unix domain socket where the system has one, else loopback TCP; the tunnel's leg is TLS (or",
    'SSH) on loopback TCP for every system but `direct`. MB are millions of bytes. CPU time is that of',
    'all threads, from /proc; peaks are of resident memory since the system was started for the measure.',
    '',
  ];
}

/** Parts of one command share a line: the load at the start of the later ones is that of the bench. */
function runLines(runs: Results['runs']): string[] {
  const byKind = new Map<string, Results['runs'][number][]>();
  for (const run of runs) {
    const kind = JSON.stringify([run.command, run.seconds, run.rounds]);
    byKind.set(kind, [...(byKind.get(kind) ?? []), run]);
  }
  return [...byKind.values()].map((parts) => {
    const inOrder = parts.sort((a, b) => a.startedAt.localeCompare(b.startedAt));
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
    ...missing.map(
      ({ name, reason }) => `| ${name} | | not run, its program is missing: ${reason} |`,
    ),
    '',
  ];
}

function barsSection(verdicts: readonly Verdict[]): string[] {
  return [
    '## Numbers to hold',
    '',
    '| measure | bar | found | |',
    '| --- | --- | ---: | --- |',
    ...verdicts.map(
      ({ measure, bar, found, state }) =>
        `| ${measure} | ${bar} | ${formatFigure(found)} | ${state === 'holds' ? state : `**${state}**`} |`,
    ),
    '',
  ];
}

function measureSection(measure: MeasureResults): string[] {
  const columns = shownColumns(measure);
  const titles = columns.map(({ title, unit }) => (unit === '' ? title : `${title}, ${unit}`));
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
    ...(excluded === undefined ? [] : [`- ${system} is left out: ${excluded}`]),
    ...failures.map((failure) => `- ${system} failed in a round: ${failure.split('\n')[0]}`),
  ]);
  return lines.length === 0 ? [] : [...lines, ''];
}
