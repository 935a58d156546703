/** The demo of docker-compose.yml: requests, isolated networks, minimal rights, failover and shutdown. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { workspaceRoot } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { readDocPage } from '../docs/doc-blocks.ts';
import { ComposeProject, type Container, dockerSkipReason } from './compose-project.ts';
import { reachedFrom } from './reachability.ts';

const servers = ['server-1', 'server-2'];
const agents = ['agent-a', 'agent-b'];
const targets = ['kubelet-a', 'pod-a', 'kubelet-b', 'pod-b'];
const running = [...servers, ...agents, ...targets, 'traffic'];
const routes = ['node-a kubelet', 'node-a pod', 'node-b kubelet', 'node-b pod'];

/** Reads the traffic's lines until each of these servers has carried a request to every target. */
async function waitForTraffic(
  project: ComposeProject,
  servers: readonly string[],
): Promise<string[]> {
  const missing = new Set(
    servers.flatMap((server) => routes.map((what) => `${what} by ${server}`)),
  );
  const lines: string[] = [];
  for await (const line of project.follow('traffic')) {
    lines.push(line);
    const [, what, server] = /^(.+): GET \S+ 200 in .* by (.+)$/.exec(line) ?? [];
    missing.delete(`${what} by ${server}`);
    if (missing.size === 0) return lines;
  }
  throw new Error(`missing: ${[...missing].join(', ')}\n${lines.join('\n')}`);
}

function addressIn(project: ComposeProject, container: Container, network: string): string {
  return container.NetworkSettings.Networks[`${project.name}_${network}`]?.IPAddress ?? '';
}

/** The `docker compose run` commands of docs/compose.md, with the networks of this test. */
function documentedRuns({ networkPrefix }: ComposeProject): string[][] {
  const page = readDocPage('', readFileSync(join(workspaceRoot, 'docs/compose.md'), 'utf8'));
  return page.blocks
    .flatMap(({ code }) => code.split('\n'))
    .map((line) =>
      /^docker compose (run .*?)(?: +#.*)?$/.exec(line)?.[1]?.replace('10.210', networkPrefix),
    )
    .filter((line) => line !== undefined)
    .map((line) => line.split(' '));
}

async function testDemo(t: Test, project: ComposeProject): Promise<void> {
  await t.test('builds, starts and carries requests', async (t) => {
    await project.compose('config', '--quiet');
    await project.compose('build');
    await project.compose('up', '--detach');
    await waitForTraffic(project, servers);
    const health = (await project.inspect(...servers, ...agents)).map(
      ({ State }) => State.Health?.Status,
    );
    t.same(health, ['healthy', 'healthy', 'healthy', 'healthy'], 'the health checks pass');
  });

  if (!t.passing()) return;

  await t.test('containers run without privileges', async (t) => {
    for (const { Name, Config, HostConfig } of await project.inspect('pki', ...running)) {
      const { ReadonlyRootfs, CapDrop, SecurityOpt, Privileged } = HostConfig;
      t.same(
        { user: Config.User, ReadonlyRootfs, CapDrop, Privileged },
        { user: 'node', ReadonlyRootfs: true, CapDrop: ['ALL'], Privileged: false },
        Name,
      );
      t.match(SecurityOpt, [/^no-new-privileges/], `${Name} cannot gain privileges`);
    }
  });

  await t.test('networks are isolated', (t) => checkNetworks(t, project));

  await t.test('the commands in docs/compose.md work', async (t) => {
    const commands = documentedRuns(project);
    t.ok(commands.length >= 8, `${commands.length} commands`);
    for (const args of commands) {
      const { code, output } = await project.tryCompose(...args);
      t.equal(code, 0, `${args.join(' ')}\n${output}`);
      if (args.includes('load')) t.match(output, /p99/, 'it prints its measurements');
    }
    t.equal((await project.tryCompose('run', '--rm', 'client', 'get', 'node-c')).code, 2);
  });

  await t.test('requests go to the other server after one is killed', async (t) => {
    const traffic = waitForTraffic(project, ['server-2']);
    await project.kill('server-1');
    await traffic;
    const lines = await waitForTraffic(project, ['server-2']);
    t.notMatch(lines.join('\n'), /FAILED/, 'after the kill no request fails');
    // Without --no-deps, compose would start server-1.
    const { code, output } = await project.tryCompose('run', '--rm', '--no-deps', 'client', 'get');
    t.equal(code, 0, output);
    t.equal(
      (await project.inspect('server-1'))[0]?.State.Status,
      'exited',
      'server-1 is still down',
    );
    await project.compose('up', '--detach');
    await waitForTraffic(project, servers);
  });

  await t.test('stops without errors, and starts again with the same certificates', async (t) => {
    await project.compose('stop');
    for (const { Name, State } of await project.inspect(...running)) {
      t.equal(State.ExitCode, 0, `${Name} exited with 0`);
    }
    await project.compose('down');
    await project.compose('up', '--detach');
    await waitForTraffic(project, servers);
    t.match(
      await project.compose('logs', 'pki'),
      /the certificates are there already/,
      'the certificates are reused',
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
  /** All ports of the agents, in all their networks. */
  const agentAddresses = [
    ...[agentA, agentB].flatMap((agent) => [
      ...at(agent, 'uplink', 8091, 8093, 8094),
      ...at(agent, 'monitoring', 8094),
    ]),
    ...at(agentA, 'node-a', 8093, 8094),
    ...at(agentB, 'node-b', 8093, 8094),
  ];
  const agentHealthPorts = [agentA, agentB].flatMap((agent) => at(agent, 'monitoring', 8093));
  t.notMatch(
    [...onNodeA, ...onNodeB, ...frontEnds, ...agentAddresses].join(' '),
    /(^| ):/,
    'all addresses are known',
  );

  // Proves that the dials work, since the other checks expect them to fail.
  t.same(await reachedFrom(project, 'agent-a', onNodeA), onNodeA, 'agent-a reaches its node');
  t.same(await reachedFrom(project, 'agent-b', onNodeB), onNodeB, 'agent-b reaches its node');
  t.same(
    await reachedFrom(project, 'agent-a', agentPorts),
    agentPorts,
    'agent-a reaches the servers',
  );
  t.same(
    await reachedFrom(project, 'traffic', frontEnds),
    frontEnds,
    'a client reaches the front ends',
  );

  t.same(
    await reachedFrom(project, 'traffic', [
      ...onNodeA,
      ...onNodeB,
      ...agentAddresses,
      ...agentHealthPorts,
      ...agentPorts,
      ...[server1, server2].flatMap((server) => at(server, 'control-plane', 8091, 8092, 8095)),
    ]),
    [],
    'a client reaches nothing but the front ends',
  );
  for (const server of servers) {
    t.same(
      await reachedFrom(project, server, [...onNodeA, ...onNodeB, ...agentAddresses]),
      [],
      `${server} reaches no target and no agent`,
    );
  }
  t.same(
    await reachedFrom(project, 'agent-a', [...onNodeB, ...frontEnds]),
    [],
    'an agent reaches no other node and no front end',
  );
  t.same(
    await reachedFrom(project, 'pod-a', [
      ...onNodeB,
      ...agentAddresses,
      ...agentPorts,
      ...frontEnds,
    ]),
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

const skip = (await dockerSkipReason()) ?? false;
t.test('the demo of docker-compose.yml works', { skip }, async (t) => {
  const project = await ComposeProject.create();
  t.comment(`compose: ${await project.version()}`);
  try {
    await testDemo(t, project);
  } finally {
    if (!t.passing()) t.comment((await project.tryCompose('logs', '--tail=50')).output);
    await project.down();
  }
  t.same(await project.leftovers(), [], 'no container, network or volume is left');
});
