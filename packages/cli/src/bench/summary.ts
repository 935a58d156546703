import { type BenchReport, hasOperations, type Verdict } from './bench-report.ts';
import { formatBytes, formatCount, formatRatio, formatUs, operationNames } from './figures.ts';

/** Above this share, the generator's own speed limits the figures. */
const busyLimit = 0.9;
/** Below this share of `--rate`, the summary has a note. */
const rateTolerance = 0.98;

export function summaryText(report: BenchReport): string {
  const { mode, latency, errors } = report;
  const lines = [
    `${report.target} through ${report.proxy} (${report.proxyProtocol}): ${mode}, ${formatCount(report.settings.streams)} streams, ${(report.elapsedMs / 1000).toFixed(1)} s${report.endedEarly ? ', ended early' : ''}`,
    '',
  ];
  lines.push(...rateRows(report).map((cells) => row(...cells)));
  if (latency) {
    lines.push(
      row(
        'latency',
        `p50 ${formatUs(latency.p50Us)}  p90 ${formatUs(latency.p90Us)}  p99 ${formatUs(latency.p99Us)}  p99.9 ${formatUs(latency.p999Us)}  max ${formatUs(latency.maxUs)}`,
      ),
    );
  }
  lines.push(row(...errorRow(report)));
  for (const { code, count, example } of errors) {
    lines.push(row('', `${formatCount(count)} ${code}: ${example}`));
  }
  lines.push(...notes(report).map((note) => row('note', note)));
  lines.push(...report.thresholds.map((verdict) => row(...thresholdRow(verdict))));
  return `${lines.join('\n')}\n`;
}

export function rateRows(report: BenchReport): [string, string][] {
  const rows: [string, string][] = [
    ['throughput', `${formatBytes(report.bytesPerSecond)}/s, ${formatBytes(report.bytes)} in all`],
  ];
  if (hasOperations(report.mode)) {
    const rate = `${formatCount(report.operationsPerSecond)}/s`;
    rows.unshift([operationNames[report.mode], `${formatCount(report.operations)}, ${rate}`]);
  }
  return rows;
}

export const errorRow = ({ failures, failureRatio }: BenchReport): [string, string] => [
  'errors',
  `${formatCount(failures)} (${formatRatio(failureRatio)})`,
];

export function notes({
  generator,
  settings,
  operationsPerSecond,
  ...report
}: BenchReport): string[] {
  const found: string[] = [];
  if (generator.busy > busyLimit) {
    found.push(
      `the load generator was busy ${formatRatio(generator.busy)} of the time, so it can limit these figures. Run several generators on other machines`,
    );
  }
  const { ratePerSecond } = settings;
  if (ratePerSecond !== null && operationsPerSecond < ratePerSecond * rateTolerance) {
    found.push(
      `the load did not reach --rate ${formatCount(ratePerSecond)}, so latency grows with the duration`,
    );
  }
  if ((hasOperations(report.mode) ? report.operations : report.bytes) === 0)
    found.push('no operation succeeded and no byte was transferred');
  return found;
}

export function thresholdRow(verdict: Verdict): [string, string] {
  const limit = thresholdFigure(verdict, verdict.limit);
  const measured =
    verdict.measured === null ? 'nothing' : thresholdFigure(verdict, verdict.measured);
  return [verdict.passed ? 'passed' : 'MISSED', `${verdict.flag} ${limit}: measured ${measured}`];
}

function thresholdFigure({ flag }: Verdict, value: number): string {
  if (flag === '--fail-errors') return formatRatio(value);
  if (flag === '--min-rate') return `${formatCount(value)}/s`;
  if (flag === '--min-throughput') return `${formatBytes(value)}/s`;
  return formatUs(value);
}

const row = (name: string, text: string): string => `${name.padEnd(11)} ${text}`.trimEnd();
