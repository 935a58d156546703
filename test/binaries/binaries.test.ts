/** The binaries in FAIRLEAD_BIN_DIR: names, versions, start time, and the files next to them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { makeTemporaryDirectory, programs, RunningProcess, workspaceRoot } from '@fairlead/testkit';
import t from 'tap';

/** The goal for a start. The test fails at ten times as much, for busy machines. */
const startGoalMs = 300;

const directory = resolve(workspaceRoot, process.env.FAIRLEAD_BIN_DIR ?? '');
if (!process.env.FAIRLEAD_BIN_DIR || !existsSync(programs.server)) {
  t.bailout('FAIRLEAD_BIN_DIR must name a directory of binaries: npm run test:binaries');
}
const platform = basename(directory);

t.test('--version prints version and commit', async (t) => {
  const { version } = JSON.parse(readFileSync(join(workspaceRoot, 'package.json'), 'utf8'));
  const commit = execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], {
    cwd: workspaceRoot,
    encoding: 'utf8',
  }).trim();
  for (const file of Object.values(programs).slice(0, 3)) {
    const output = execFileSync(file, ['--version'], { encoding: 'utf8' });
    const facts = `commit ${commit}(-dirty)?, node v[.0-9]+`;
    t.match(output, new RegExp(`^${basename(file)} ${version} \\(${facts}\\)\n$`));
  }
});

t.test('the name of the file selects the program', async (t) => {
  const temporary = await makeTemporaryDirectory();
  t.teardown(() => temporary.close());
  const copy = join(temporary.path, 'fairlead-agent-1.2.3-linux');
  copyFileSync(programs.server, copy);
  t.match(execFileSync(copy, ['--version'], { encoding: 'utf8' }), /^fairlead-agent /);
});

t.test(`starts in less than ${startGoalMs} ms`, async (t) => {
  for (const file of [programs.server, programs.agent, programs.cli]) {
    const times = Array.from({ length: 5 }, () => {
      const startMs = performance.now();
      spawnSync(file, ['--version']);
      return performance.now() - startMs;
    });
    const medianMs = times.sort((one, other) => one - other)[2]!;
    t.comment(`${basename(file)}: ${medianMs.toFixed(0)} ms`);
    t.ok(medianMs < 10 * startGoalMs, basename(file));
  }
});

t.test('the process has the name of the program', async (t) => {
  const agent = await RunningProcess.start(programs.agent, [
    '--health-server-port=0',
    '--admin-server-port=0',
    '--proxy-server-port=1',
  ]);
  t.teardown(() => agent.close());
  await agent.waitForLog('listening');
  t.equal(readFileSync(`/proc/${agent.pid}/comm`, 'utf8'), 'fairlead-agent\n');
});

t.test('checksums, SBOM and licenses are complete', async (t) => {
  const sums = spawnSync('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], {
    cwd: dirname(directory),
    encoding: 'utf8',
  });
  t.same({ status: sums.status, output: sums.stdout }, { status: 0, output: '' }, 'SHA256SUMS');

  const sbom = JSON.parse(readFileSync(join(directory, 'sbom.cdx.json'), 'utf8'));
  t.match(sbom, {
    bomFormat: 'CycloneDX',
    metadata: { component: { name: 'fairlead', properties: [{ value: platform }, {}] } },
  });
  const purls: string[] = sbom.components.map(({ purl }: { purl: string }) => purl);
  for (const bundled of [
    'pino',
    'ws',
    'zod',
    'yaml',
    'node-forge',
    'autocannon',
    '%40fairlead/server',
  ]) {
    t.ok(
      purls.some((purl) => purl.startsWith(`pkg:npm/${bundled}@`)),
      bundled,
    );
  }
  for (const other of ['tap', 'esbuild', '%40fairlead/testkit']) {
    t.notOk(
      purls.some((purl) => purl.startsWith(`pkg:npm/${other}@`)),
      `${other} is not bundled`,
    );
  }
  const node = sbom.components.find(({ name }: { name: string }) => name === 'node');
  t.ok(
    node.components.some(({ name }: { name: string }) => name === 'openssl'),
    'OpenSSL',
  );
  const refs = new Set([
    sbom.metadata.component['bom-ref'],
    ...sbom.components.map((component: { 'bom-ref': string }) => component['bom-ref']),
  ]);
  for (const { ref, dependsOn } of sbom.dependencies) {
    t.ok(
      [ref, ...dependsOn].every((one) => refs.has(one)),
      `dependencies of ${ref} are listed`,
    );
  }

  const licenses = readFileSync(join(directory, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
  for (const { name, version } of sbom.components) {
    if (purls.includes(`pkg:npm/%40fairlead/${name}@${version}`)) continue;
    if (name !== 'node') t.match(licenses, `${name} ${version} (`, `license of ${name}`);
  }
  t.match(licenses, 'Node.js is licensed for use as follows');
  t.ok(statSync(join(directory, 'LICENSE')).isFile());
});
