/** Prometheus and Grafana as docker-compose.yml sets them up: names that no program knows. */
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

/** Added by Prometheus to whatever it scrapes. */
const scrapeLabels = ['job', 'instance', 'le'];

/** Metrics by name with their kind, and the labels of their samples, as /metrics of a port tells. */
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

/** The names of labels in docs/metrics.md and in the sources: a counter shows none before it counts. */
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

t.test('every expression is PromQL and asks for a metric that there is', async (t) => {
  const known = new Map([
    ...(await Promise.all(healthPorts.map(readMetrics))).flatMap((metrics) => [...metrics]),
    ['up', new Set<string>()],
  ]);
  const asked = [
    ...dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ by: `panel "${title}"`, expr })),
    ),
    ...rules.map(({ alert, expr }) => ({ by: `alert ${alert}`, expr })),
  ];
  t.ok(asked.length > 30, `${asked.length} expressions`);
  for (const { by, expr } of asked) {
    const { selectors, grouping } = readPromql(expr);
    for (const [, metric = '', program = ''] of expr.matchAll(/(\w+)\{job="fairlead-(\w+)"/g)) {
      if (metric !== 'up') t.match(metric, `_${program}_`, `${by}: of the ${program}`);
    }
    for (const { metric, labels } of selectors) {
      t.ok(known.has(metric), `${by}: there is ${metric}`);
      for (const label of [...labels, ...grouping]) {
        t.ok(isKnownLabel(label), `${by}: there is a label ${label}`);
      }
    }
  }
  const metric = 'konnectivity_network_proxy_server_ready_backends';
  t.ok(known.get(metric)?.has('proxy_strategy'), 'samples are read with their labels');
  t.notOk(known.has('fairlead_server_no_such_thing'), 'and nothing else is known');
  t.throws(() => readPromql('sum(rate(up[5m])'), /no PromQL/, 'invalid PromQL is found');
});

t.test('every metric of our own is on the dashboard or in an alert', async (t) => {
  const all = [read('grafana/dashboards/fairlead.json'), read('prometheus/alerts.yml')].join('\n');
  /** Logged, and of no use as a curve. */
  const left = ['fairlead_server_file_reloads_total', 'fairlead_agent_file_reloads_total'];
  for (const port of healthPorts) {
    for (const name of (await readMetrics(port)).keys()) {
      if (!name.startsWith('fairlead_') || left.includes(name)) continue;
      if (/_agent_stream_/.test(name)) continue; // The server's say the same.
      t.ok(all.includes(name), name);
    }
  }
});

t.test('panels have ids and places of their own, and variables that there are', async (t) => {
  const { panels, templating } = dashboard;
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'each has its id');
  for (const { title, gridPos } of panels) {
    const overlapping = panels.filter(
      ({ gridPos: other }) =>
        other.x < gridPos.x + gridPos.w &&
        gridPos.x < other.x + other.w &&
        other.y < gridPos.y + gridPos.h &&
        gridPos.y < other.y + other.h,
    );
    t.equal(overlapping.length, 1, `"${title}" overlaps with itself alone`);
  }
  const variables = templating.list.map(({ name }) => name);
  for (const [, name = ''] of JSON.stringify(panels).matchAll(/\$(\w+)/g)) {
    if (!name.startsWith('__')) t.ok(variables.includes(name), `there is $${name}`);
  }
});

t.test('Prometheus asks the services that docker-compose.yml has, on their ports', async (t) => {
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
