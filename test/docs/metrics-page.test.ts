/** docs/metrics.md has the metrics of all programs, with their types, labels and help texts. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { KubernetesApi, workspaceRoot } from '@fairlead/testkit';
import t from 'tap';
import { Installation } from '../security/enrollment-fixture.ts';
import { startAgent, startServer } from '../support/fleet.ts';

/** A metric of prom-client. Its class is its type. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** The class that the programs use. */
interface RegistryClass {
  readonly prototype: { registerMetric(metric: Metric): void };
}

/** A row of the page. */
const rowOf = (name: string, type: string, labels: readonly string[], help: string) =>
  `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`;

/** The rows of all metrics that programs register from now on. */
function collectRows(): Set<string> {
  const requireOfServer = createRequire(join(workspaceRoot, 'packages/server/package.json'));
  const { Registry } = requireOfServer('prom-client') as { Registry: RegistryClass };
  const { prototype } = Registry;
  const { registerMetric } = prototype;
  const rows = new Set<string>();
  prototype.registerMetric = function (metric) {
    const { name, help, labelNames } = metric;
    rows.add(rowOf(name, metric.constructor.name.toLowerCase(), labelNames, help));
    registerMetric.call(this, metric);
  };
  t.teardown(() => {
    prototype.registerMetric = registerMetric;
  });
  return rows;
}

/** The primary registers its metrics only with workers, in its own process, so its source is read instead. */
async function rowsOfPrimary(): Promise<string[]> {
  const path = join(workspaceRoot, 'packages/server/src/workers/primary.ts');
  const declarations = (await readFile(path, 'utf8')).matchAll(
    /new (Counter|Gauge)\(\{\s+name: '(\w+)',\s+help: '(.*)',\s+(?:labelNames: \['(\w+)'\])?/g,
  );
  return [...declarations].map(([, type = '', name = '', help = '', label]) =>
    rowOf(name, type.toLowerCase(), label === undefined ? [] : [label], help),
  );
}

t.test('the page has a row for each metric, as the programs declare it', async (t) => {
  const rows = collectRows();
  const api = await KubernetesApi.start();
  t.teardown(() => api.close());
  const kubeconfig = await api.kubeconfig();
  const server = await startServer(t, { kubeconfig, enableLeaseController: true, serverId: 'a' });
  await startAgent(t, server, { kubeconfig, countServerLeases: true });
  await (await Installation.make()).startIssuer(t);
  const ofPrimary = await rowsOfPrimary();
  t.equal(ofPrimary.length, 2);

  const page = await readFile(join(workspaceRoot, 'docs/metrics.md'), 'utf8');
  const found = page.match(/^\| `(fairlead|konnectivity)_\w+` \| (counter|gauge|histogram) .*$/gm);
  t.same(found?.sort(), [...rows, ...ofPrimary].sort());
  t.ok(rows.size > 50, `${rows.size} metrics`);
});
