/** An agent that is connected and cannot dial: its dials move to another agent, and it is avoided until it can. */
import { execFileSync } from 'node:child_process';
import { eventually, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { runCommand } from '../../packages/cli/test/run-fairlead.ts';
import { authority, openClient } from './clients.ts';
import {
  linesOf,
  loopback,
  type RunningAgent,
  startAgent,
  startServer,
  untilAgentsConnected,
} from './fixture.ts';

/** Below the descriptors that a process has open, so that it can open no other. */
function limitDescriptors({ process }: RunningAgent, count: number): void {
  execFileSync('prlimit', [`--pid=${process.pid}`, `--nofile=${count}:`]);
}

t.test('an agent without descriptors does not attract the dials', async (t) => {
  const server = await startServer(t);
  const broken = await startAgent(t, server.agentPort, { 'agent-id': 'broken' });
  await startAgent(t, server.agentPort, { 'agent-id': 'sound' });
  await untilAgentsConnected(server, 2);
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const client = await openClient['HTTP/2 over the UDS'](t, server);
  const address = authority(target);
  const admin = `--admin=http://${loopback}:${server.adminPort}`;
  const metrics = async () =>
    (await fetch(`http://${loopback}:${server.adminPort}/metrics`)).text();

  limitDescriptors(broken, 8);
  // The streams stay open: the agent that works is the more loaded one.
  for (let dial = 0; dial < 200; dial++) t.equal((await client.ask(address)).status, 200);
  const [warning] = linesOf(server.process, 'agent cannot dial');
  t.match(warning, { agent: 'broken', detail: /: too many open files$/ });
  const rest = await eventually('the agent rests', async () => {
    await client.ask(address);
    const status = await runCommand(['status', admin]);
    return /^broken .* tls \(failing\) /m.test(status.stdout) && (await metrics());
  });
  t.match(rest, /^fairlead_server_failing_agents 1$/m);
  t.match(rest, /^fairlead_server_dial_retries_total\{code="agent_failed"\} \d+$/m);
  const why = await runCommand(['why', address, admin]);
  t.match(why.stdout, /^ +broken at .*, 0 streams, failing$/m);
  t.match(why.stdout, /^choice {3}sound, the only one$/m);

  limitDescriptors(broken, 1_024);
  await eventually('the agent is used again', async () => {
    await client.open(address);
    return / through broken: ok /.test((await runCommand(['why', address, admin])).stdout);
  });
  t.match(await metrics(), /^fairlead_server_failing_agents 0$/m);
});
