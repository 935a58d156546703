/** The Grafana dashboard, the alerts and the Prometheus configuration use metrics and services that exist. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { workspaceRoot } from '@fairlead/testkit';
import t from 'tap';
import { parse } from 'yaml';
import { loopback, startAgent, startServer } from '../support/fleet.ts';
import { readPromql } from './promql.ts';

const monitoring = join(workspaceRoot, 'deploy/monitoring');
const read = (file: string) => readFileSync(join(monitoring, file), 'utf8');

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly { readonly expr: string }[];
}

const dashboard = JSON.parse(read('grafana/dashboards/fairlead.json')) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string }[] };
};
const alerts = parse(read('prometheus/alerts.yml')) as {
  groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
};
const rules = alerts.groups.flatMap((group) => group.rules);

/** Labels that Prometheus adds, and `le` of histograms. */
const scrapeLabels = ['job', 'instance', 'le'];

/** The metrics at /metrics of a port, each with the labels of its samples. */
async function readMetrics(port: number): Promise<Map<string, Set<string>>> {
  const text = await (await fetch(`http://${loopback}:${port}/metrics`)).text();
  const metrics = new Map<string, Set<string>>();
  for (const [, name = '', kind] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const suffixes = kind === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    for (const suffix of suffixes) metrics.set(`${name}${suffix}`, new Set());
  }
  for (const [, name = '', labels = ''] of text.matchAll(/^([^#\s{]+)\{(.*)\} /gm)) {
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) metrics.get(name)?.add(label);
  }
  return metrics;
}

/** Looks for the label in the sources, since a counter has no sample before its first increment. */
function isKnownLabel(label: string): boolean {
  return scrapeLabels.includes(label) || sources.includes(`'${label}'`);
}
const sources = [
  'server/src/admin/metrics.ts',
  'agent/src/admin/metrics.ts',
  'runtime/src/tls/certificate-expiry.ts',
]
  .map((file) => readFileSync(join(workspaceRoot, 'packages', file), 'utf8'))
  .join('\n');

const server = await startServer(t);
const { agent } = await startAgent(t, server);
await server.untilAgents(1);
const healthPorts = [server.healthPort, agent.addresses.health.port];

t.test('every expression is valid PromQL over existing metrics', async (t) => {
  const known = new Map([
    ...(await Promise.all(healthPorts.map(readMetrics))).flatMap((metrics) => [...metrics]),
    ['up', new Set<string>()],
  ]);
  const expressions = [
    ...dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ by: `panel "${title}"`, expr })),
    ),
    ...rules.map(({ alert, expr }) => ({ by: `alert ${alert}`, expr })),
  ];
  t.ok(expressions.length > 30, `${expressions.length} expressions`);
  for (const { by, expr } of expressions) {
    const { selectors, grouping } = readPromql(expr);
    for (const [, metric = '', program = ''] of expr.matchAll(/(\w+)\{job="fairlead-(\w+)"/g)) {
      if (metric !== 'up') t.match(metric, `_${program}_`, `${by}: a metric of the ${program}`);
    }
    for (const { metric, labels } of selectors) {
      t.ok(known.has(metric), `${by}: ${metric} exists`);
      for (const label of [...labels, ...grouping]) {
        t.ok(isKnownLabel(label), `${by}: label ${label} exists`);
      }
    }
  }
  const metric = 'konnectivity_network_proxy_server_ready_backends';
  t.ok(known.get(metric)?.has('proxy_strategy'), 'labels of samples are read');
  t.notOk(known.has('fairlead_server_no_such_thing'), 'a missing metric is unknown');
  t.throws(() => readPromql('sum(rate(up[5m])'), /no PromQL/, 'invalid PromQL is an error');
});

t.test('every Fairlead metric is on the dashboard or in an alert', async (t) => {
  const all = [read('grafana/dashboards/fairlead.json'), read('prometheus/alerts.yml')].join('\n');
  /** In the log instead. */
  const excluded = ['fairlead_server_file_reloads_total', 'fairlead_agent_file_reloads_total'];
  for (const port of healthPorts) {
    for (const name of (await readMetrics(port)).keys()) {
      if (!name.startsWith('fairlead_') || excluded.includes(name)) continue;
      if (/_agent_stream_/.test(name)) continue; // The server's metrics cover these.
      t.ok(all.includes(name), name);
    }
  }
});

t.test('panels have unique IDs, do not overlap, and use existing variables', async (t) => {
  const { panels, templating } = dashboard;
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'IDs are unique');
  for (const { title, gridPos } of panels) {
    const overlapping = panels.filter(
      ({ gridPos: other }) =>
        other.x < gridPos.x + gridPos.w &&
        gridPos.x < other.x + other.w &&
        other.y < gridPos.y + gridPos.h &&
        gridPos.y < other.y + other.h,
    );
    t.equal(overlapping.length, 1, `"${title}" overlaps no other panel`);
  }
  const variables = templating.list.map(({ name }) => name);
  for (const [, name = ''] of JSON.stringify(panels).matchAll(/\$(\w+)/g)) {
    if (!name.startsWith('__')) t.ok(variables.includes(name), `variable $${name} exists`);
  }
});

t.test('Prometheus scrapes the services of docker-compose.yml on their health ports', async (t) => {
  const compose = parse(readFileSync(join(workspaceRoot, 'docker-compose.yml'), 'utf8'), {
    merge: true,
  }) as { services: Record<string, { networks?: Record<string, { aliases?: string[] }> }> };
  const config = parse(read('prometheus/prometheus.yml'), { merge: true }) as {
    scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
  };
  const aliases = Object.values(compose.services).flatMap(
    ({ networks }) => networks?.monitoring?.aliases ?? [],
  );
  const targets = config.scrape_configs.flatMap(({ job_name, static_configs }) =>
    static_configs.flatMap((group) => group.targets.map((target) => ({ job_name, target }))),
  );
  t.same(targets.map(({ target }) => target.split(':')[0]).sort(), aliases.sort());
  for (const { job_name, target } of targets) {
    t.match(target, job_name === 'fairlead-server' ? /^server-.*:8092$/ : /^agent-.*:8093$/);
  }
});
