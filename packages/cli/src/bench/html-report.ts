import { type BenchReport, hasOperations } from './bench-report.ts';
import { formatBytes, formatCount, formatRatio, formatUs, operationNames } from './figures.ts';
import { escapeXml, lineChart, type Series } from './line-chart.ts';
import { errorRow, notes, rateRows, thresholdRow } from './summary.ts';

const blue = '#0b6e99';
const lightBlue = '#6bb5d3';
const red = '#b42318';

const style = `
body { font: 15px/1.5 system-ui, sans-serif; color: #24292f; max-width: 800px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.4em; } h2 { font-size: 1.1em; margin-top: 2em; }
table { border-collapse: collapse; } td, th { text-align: left; padding: 3px 16px 3px 0; vertical-align: top; }
th { font-weight: 600; white-space: nowrap; } .passed { color: #1a7f37; } .missed { color: ${red}; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: #24292f; margin: 12px 0; }
.grid { stroke: #d0d7de; stroke-width: 1; }`;

/** The report as one self-contained page, without scripts, fonts or network requests. */
export function htmlReport(report: BenchReport): string {
  const verdict = report.passed
    ? '<span class="passed">passed</span>'
    : '<span class="missed">missed</span>';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fairlead bench: ${escapeXml(report.target)}</title>
<style>${style}
</style>
</head>
<body>
<h1>fairlead bench: ${verdict}</h1>
${table(settingRows(report))}
<h2>Figures</h2>
${table(figureRows(report))}
${notes(report)
  .map((note) => `<p><strong>Note:</strong> ${escapeXml(note)}.</p>`)
  .join('\n')}
${section('Thresholds', table(report.thresholds.map(thresholdRow)))}
${section('Errors', table(report.errors.map(({ code, count, example }) => [code, `${formatCount(count)}: ${example}`])))}
<h2>Over time</h2>
${charts(report).join('\n')}
</body>
</html>
`;
}

function settingRows({ settings, ...report }: BenchReport): [string, string][] {
  const seconds = (ms: number) => `${ms / 1000} s`;
  const rows: [string, string | null][] = [
    ['target', `${report.target} (${report.mode})`],
    ['front end', `${report.proxy} (${report.proxyProtocol})`],
    ['streams', formatCount(settings.streams)],
    ['connections', settings.connections === null ? null : formatCount(settings.connections)],
    ['payload', settings.payloadBytes === null ? null : formatBytes(settings.payloadBytes)],
    ['rate', settings.ratePerSecond === null ? null : `${formatCount(settings.ratePerSecond)}/s`],
    [
      'duration',
      `${seconds(settings.durationMs)}, after ${seconds(settings.rampMs)} of ramp and ${seconds(settings.warmUpMs)} of warm-up`,
    ],
    ['started', report.startedAt],
    ['version', `${report.version}, Node ${report.generator.node}`],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== null);
}

function figureRows(report: BenchReport): [string, string][] {
  const { latency, elapsedMs, endedEarly, generator } = report;
  const latencyRows: [string, number][] = latency
    ? [
        ['latency p50', latency.p50Us],
        ['p90', latency.p90Us],
        ['p99', latency.p99Us],
        ['p99.9', latency.p999Us],
        ['max', latency.maxUs],
        ['mean', latency.meanUs],
      ]
    : [];
  return [
    ['measured', `${(elapsedMs / 1000).toFixed(1)} s${endedEarly ? ', ended early' : ''}`],
    ...rateRows(report),
    ...latencyRows.map(([name, us]): [string, string] => [name, formatUs(us)]),
    errorRow(report),
    ['generator busy', formatRatio(generator.busy)],
  ];
}

function charts(report: BenchReport): string[] {
  const { samples, mode, distribution } = report;
  const series = (
    name: string,
    color: string,
    y: (sample: BenchReport['samples'][number]) => number | null,
  ): Series => ({
    name,
    color,
    points: samples.map((sample) => ({ x: sample.atMs / 1000, y: y(sample) })),
  });
  const formatX = (seconds: number) => `${seconds.toFixed(0)} s`;
  const name = operationNames[mode];
  const found: string[] = [];
  if (hasOperations(mode)) {
    const title = `${name} per second`;
    const line = series(name, blue, ({ operationsPerSecond }) => operationsPerSecond);
    found.push(lineChart({ title, series: [line], formatX, formatY: formatCount }));
    const latencies = [
      series('p99', lightBlue, ({ p99Us }) => p99Us),
      series('p50', blue, ({ p50Us }) => p50Us),
    ];
    found.push(lineChart({ title: 'Latency', series: latencies, formatX, formatY: formatUs }));
  }
  const bytes = series('bytes', blue, ({ bytesPerSecond }) => bytesPerSecond);
  const formatY = (perSecond: number) => `${formatBytes(perSecond)}/s`;
  found.push(lineChart({ title: 'Throughput', series: [bytes], formatX, formatY }));
  if (report.failures > 0) {
    const line = series('errors', red, ({ failures }) => failures);
    found.push(lineChart({ title: 'Errors', series: [line], formatX, formatY: formatCount }));
  }
  if (distribution.length > 0) found.push(distributionChart(report));
  return found;
}

/** Each step to the right on the x axis is a tenth of the share before it, to show the tail. */
function distributionChart({ distribution }: BenchReport): string {
  const nines = (percentile: number) => -Math.log10(1 - percentile / 100);
  const points = distribution
    .filter(({ percentile }) => percentile < 100)
    .map(({ percentile, us }) => ({ x: nines(percentile), y: us }));
  const last = points.at(-1)?.x ?? 1;
  const ticksX = [0, 50, 90, 99, 99.9, 99.99, 99.999]
    .map((percentile) => ({ x: nines(percentile), label: `${percentile} %` }))
    .filter(({ x }) => x <= last);
  return lineChart({
    title: 'Latency by percentile',
    series: [{ name: 'latency', color: blue, points }],
    ticksX,
    formatX: String,
    formatY: formatUs,
  });
}

function section(title: string, content: string): string {
  return content === '' ? '' : `<h2>${title}</h2>\n${content}`;
}

function table(rows: readonly (readonly [string, string])[]): string {
  if (rows.length === 0) return '';
  const cells = rows.map(([name, value]) => {
    const mark = name === 'MISSED' ? ' class="missed"' : name === 'passed' ? ' class="passed"' : '';
    return `<tr${mark}><th>${escapeXml(name)}</th><td>${escapeXml(value)}</td></tr>`;
  });
  return `<table>\n${cells.join('\n')}\n</table>`;
}
