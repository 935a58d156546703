/**
 * docker-compose.yml, built and run: nothing crosses, networks that are not apart, a killed server that is
 * missed, a container that has more rights than it needs or does not end in order.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { workspaceRoot } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { readDocPage } from '../docs/doc-blocks.ts';
import { ComposeProject, type Container, whyNoDocker } from './compose-project.ts';
import { reachedFrom } from './reachability.ts';

const servers = ['server-1', 'server-2'];
const agents = ['agent-a', 'agent-b'];
const targets = ['kubelet-a', 'pod-a', 'kubelet-b', 'pod-b'];
const running = [...servers, ...agents, ...targets, 'traffic'];
const wanted = ['node-a kubelet', 'node-a pod', 'node-b kubelet', 'node-b pod'];

/** Reads the traffic's lines until every target was reached through every server that is named. */
async function waitForTraffic(project: ComposeProject, by: readonly string[]): Promise<string[]> {
  const missing = new Set(by.flatMap((server) => wanted.map((what) => `${what} by ${server}`)));
  const lines: string[] = [];
  for await (const line of project.follow('traffic')) {
    lines.push(line);
    const [, what, server] = /^(.+): GET \S+ 200 in .* by (.+)$/.exec(line) ?? [];
    missing.delete(`${what} by ${server}`);
    if (missing.size === 0) return lines;
  }
  throw new Error(`no ${[...missing].join(', no ')}\n${lines.join('\n')}`);
}

function addressIn(project: ComposeProject, container: Container, network: string): string {
  return container.NetworkSettings.Networks[`${project.name}_${network}`]?.IPAddress ?? '';
}

/** Each `docker compose run` of docs/compose.md, in the networks of this test. */
function documentedRuns(): string[][] {
  const page = readDocPage('', readFileSync(join(workspaceRoot, 'docs/compose.md'), 'utf8'));
  return page.blocks
    .flatMap(({ code }) => code.split('\n'))
    .map((line) =>
      /^docker compose (run .*?)(?: +#.*)?$/.exec(line)?.[1]?.replace('10.210.', '10.211.'),
    )
    .filter((line) => line !== undefined)
    .map((line) => line.split(' '));
}

async function tryAll(t: Test, project: ComposeProject): Promise<void> {
  await t.test('it builds, starts, and requests cross', async (t) => {
    await project.compose('config', '--quiet');
    await project.compose('build');
    await project.compose('up', '--detach');
    await waitForTraffic(project, servers);
    const health = (await project.inspect(...servers, ...agents)).map(
      ({ State }) => State.Health?.Status,
    );
    t.same(health, ['healthy', 'healthy', 'healthy', 'healthy'], 'the health checks say so too');
  });

  if (!t.passing()) return;

  await t.test('no container has a right that it does not need', async (t) => {
    for (const { Name, Config, HostConfig } of await project.inspect('pki', ...running)) {
      const { ReadonlyRootfs, CapDrop, SecurityOpt, Privileged } = HostConfig;
      t.same(
        { user: Config.User, ReadonlyRootfs, CapDrop, Privileged },
        { user: 'node', ReadonlyRootfs: true, CapDrop: ['ALL'], Privileged: false },
        Name,
      );
      t.match(SecurityOpt, [/^no-new-privileges/], `${Name} gets no privilege`);
    }
  });

  await t.test('the networks are apart', (t) => checkNetworks(t, project));

  await t.test('client and load do what docs/compose.md prints', async (t) => {
    const commands = documentedRuns();
    t.ok(commands.length >= 8, `${commands.length} commands`);
    for (const args of commands) {
      const { code, output } = await project.tryCompose(...args);
      t.equal(code, 0, `${args.join(' ')}\n${output}`);
      if (args.includes('load')) t.match(output, /p99/, 'it says what it measured');
    }
    t.equal((await project.tryCompose('run', '--rm', 'client', 'get', 'node-c')).code, 2);
  });

  await t.test('a server that is killed is not missed, and comes back', async (t) => {
    const traffic = waitForTraffic(project, ['server-2']);
    await project.kill('server-1');
    await traffic;
    const lines = await waitForTraffic(project, ['server-2']);
    t.notMatch(lines.join('\n'), /FAILED/, 'after the kill no request fails');
    // --no-deps: compose would start server-1 again.
    const { code, output } = await project.tryCompose('run', '--rm', '--no-deps', 'client', 'get');
    t.equal(code, 0, output);
    t.equal((await project.inspect('server-1'))[0]?.State.Status, 'exited', 'it stays killed');
    await project.compose('up', '--detach');
    await waitForTraffic(project, servers);
  });

  await t.test('everything ends in order, and starts again', async (t) => {
    await project.compose('stop');
    for (const { Name, State } of await project.inspect(...running)) {
      t.equal(State.ExitCode, 0, `${Name} ended by itself, in order`);
    }
    await project.compose('down');
    await project.compose('up', '--detach');
    await waitForTraffic(project, servers);
    t.match(
      await project.compose('logs', 'pki'),
      /the certificates are there already/,
      'with the certificates of the first time',
    );
  });
}

async function checkNetworks(t: Test, project: ComposeProject): Promise<void> {
  const containers = await project.inspect(...servers, ...agents, ...targets);
  const [server1, server2, agentA, agentB, kubeletA, podA, kubeletB, podB] = containers as [
    Container,
    Container,
    Container,
    Container,
    Container,
    Container,
    Container,
    Container,
  ];
  const at = (container: Container, network: string, ...ports: number[]) =>
    ports.map((port) => `${addressIn(project, container, network)}:${port}`);
  const onNodeA = [...at(kubeletA, 'node-a', 10250), ...at(podA, 'node-a', 8080, 9003)];
  const onNodeB = [...at(kubeletB, 'node-b', 10250), ...at(podB, 'node-b', 8080, 9003)];
  const frontEnds = [server1, server2].flatMap((server) => at(server, 'control-plane', 8090));
  const agentPorts = [server1, server2].flatMap((server) => at(server, 'uplink', 8091));
  /** Whatever an agent listens on, in all its networks. */
  const ofAgents = [
    ...[agentA, agentB].flatMap((agent) => [
      ...at(agent, 'uplink', 8091, 8093, 8094),
      ...at(agent, 'monitoring', 8094),
    ]),
    ...at(agentA, 'node-a', 8093, 8094),
    ...at(agentB, 'node-b', 8093, 8094),
  ];
  const healthOfAgents = [agentA, agentB].flatMap((agent) => at(agent, 'monitoring', 8093));
  t.notMatch([...onNodeA, ...onNodeB, ...frontEnds, ...ofAgents].join(' '), /(^| ):/, 'all known');

  // Without these, a dial that never works would prove everything else.
  t.same(await reachedFrom(project, 'agent-a', onNodeA), onNodeA, 'an agent reaches its node');
  t.same(await reachedFrom(project, 'agent-b', onNodeB), onNodeB, 'and so does the other');
  t.same(await reachedFrom(project, 'agent-a', agentPorts), agentPorts, 'and the servers');
  t.same(await reachedFrom(project, 'traffic', frontEnds), frontEnds, 'a client reaches servers');

  t.same(
    await reachedFrom(project, 'traffic', [
      ...onNodeA,
      ...onNodeB,
      ...ofAgents,
      ...healthOfAgents,
      ...agentPorts,
      ...[server1, server2].flatMap((server) => at(server, 'control-plane', 8091, 8092, 8095)),
    ]),
    [],
    'a client reaches front ends, and nothing else',
  );
  for (const server of servers) {
    t.same(
      await reachedFrom(project, server, [...onNodeA, ...onNodeB, ...ofAgents]),
      [],
      `${server} can dial no target and no agent`,
    );
  }
  t.same(
    await reachedFrom(project, 'agent-a', [...onNodeB, ...frontEnds]),
    [],
    'an agent reaches no other node, and no front end',
  );
  t.same(
    await reachedFrom(project, 'pod-a', [...onNodeB, ...ofAgents, ...agentPorts, ...frontEnds]),
    [],
    'a pod reaches nothing but its node',
  );
  for (const [args, code] of [
    [['apart'], 0],
    [['apart', ...frontEnds], 1],
    [['reach', ...frontEnds], 0],
    [['reach', ...onNodeA], 1],
  ] as const) {
    const result = await project.tryCompose('run', '--rm', 'client', ...args);
    t.equal(result.code, code, `client ${args.join(' ')}\n${result.output}`);
  }
}

const skip = (await whyNoDocker()) ?? false;
t.test('the demo of docker-compose.yml', { skip }, async (t) => {
  const project = await ComposeProject.create(`fairlead-test-${process.pid}`);
  t.comment(`here, \`docker compose\` is ${await project.version()}`);
  try {
    await tryAll(t, project);
  } finally {
    if (!t.passing()) t.comment((await project.tryCompose('logs', '--tail=50')).output);
    await project.down();
  }
  t.same(await project.leftovers(), [], 'nothing is left');
});
