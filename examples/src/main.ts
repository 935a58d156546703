/**
 * `npm start`: makes a throwaway PKI, starts a server, an agent and a kubelet-like target that demands a client
 * certificate, and sends one real request through the tunnel. Runs until Ctrl-C.
 */
import { join } from 'node:path';
import {
  makeFairleadPki,
  makeTemporaryDirectory,
  programs,
  RunningProcess,
  startKubeletTarget,
} from '@fairlead/testkit';
import { pickPort } from './ports.ts';
import { requestThrough } from './request.ts';
import { aborted, stopSignal } from './stop-signal.ts';

const host = '127.0.0.1';
const say = (text = ''): void => {
  process.stdout.write(`${text}\n`);
};

/** Closed at the end, in reverse order. */
const opened: { close(): Promise<void> }[] = [];

/** Listens from the start, so that an early Ctrl-C leaves no process or file behind. */
const stopped = stopSignal();

/** Registers something to close at the end. @throws Error after Ctrl-C */
function keep(thing: { close(): Promise<void> }): void {
  opened.push(thing);
  if (stopped.aborted) throw new Error('stopped');
}

async function closeAll(): Promise<void> {
  for (const thing of opened.splice(0).reverse()) await thing.close();
}

async function port(name: string, wanted: number): Promise<string> {
  const picked = await pickPort(wanted, host);
  if (!picked.isWanted) say(`  port ${wanted} is taken, ${name} uses ${picked.port} instead`);
  return String(picked.port);
}

async function main(): Promise<void> {
  const directory = await makeTemporaryDirectory();
  keep(directory);
  const pki = await makeFairleadPki(directory.path);
  say(`certificates  two CAs and their certificates, deleted at the end: ${directory.path}`);

  const kubelet = await startKubeletTarget({
    tls: { ca: pki.kubelet.ca, cert: pki.kubelet.server.cert, key: pki.kubelet.server.key },
  });
  keep(kubelet);
  say(
    `target        a kubelet-like HTTPS server that demands a client certificate: ${host}:${kubelet.port}`,
  );

  const uds = join(directory.path, 'front-end.sock');
  const frontEndPort = await port('the front end', 8090);
  const agentPort = await port('the agent port', 8091);
  const server = await RunningProcess.start(
    programs.server,
    [
      `--uds-name=${uds}`,
      `--server-port=${frontEndPort}`,
      `--server-bind-address=${host}`,
      `--server-ca-cert=${pki.frontend.caFile}`,
      `--server-cert=${pki.frontend.server.certFile}`,
      `--server-key=${pki.frontend.server.keyFile}`,
      `--agent-port=${agentPort}`,
      '--agent-authorization=enforce',
      `--agent-bind-address=${host}`,
      `--cluster-ca-cert=${pki.agent.caFile}`,
      `--cluster-cert=${pki.agent.server.certFile}`,
      `--cluster-key=${pki.agent.server.keyFile}`,
      `--health-port=${await port('the health port', 8092)}`,
      `--health-bind-address=${host}`,
      `--admin-port=${await port('the admin port', 8095)}`,
    ],
    { name: 'fairlead-server' },
  );
  keep(server);
  await server.waitForListener('frontend');
  const health = await server.waitForListener('health');
  say(
    `server        fairlead-server, pid ${server.pid}: clients at ${host}:${frontEndPort} and ${uds}, agents at ${host}:${agentPort}`,
  );

  const agent = await RunningProcess.start(
    programs.agent,
    [
      `--proxy-server-host=${host}`,
      `--proxy-server-port=${agentPort}`,
      `--ca-cert=${pki.agent.caFile}`,
      `--agent-cert=${pki.agent.client.certFile}`,
      `--agent-key=${pki.agent.client.keyFile}`,
      '--agent-id=demo-node',
      '--health-server-port=0',
      `--health-server-host=${host}`,
      '--admin-server-port=0',
    ],
    { name: 'fairlead-agent' },
  );
  keep(agent);
  const joined = await Promise.race([server.waitForLog('agent connected'), failsWith(agent)]);
  say(
    `agent         fairlead-agent, pid ${agent.pid}: dialed out, its tunnel is up (${joined.transport}, mutual TLS, certificate ${joined.commonName})`,
  );
  say();

  const report = await requestThrough(
    {
      host,
      port: Number(frontEndPort),
      tls: {
        ca: pki.frontend.ca,
        cert: pki.frontend.client.cert,
        key: pki.frontend.client.key,
      },
    },
    {
      host: kubelet.host,
      port: kubelet.port,
      tls: { ca: pki.kubelet.ca, cert: pki.kubelet.client.cert, key: pki.kubelet.client.key },
    },
    '/pods',
  );
  say(`client -> server   CONNECT ${host}:${kubelet.port} over mutual TLS`);
  say(`server -> agent    a stream in the tunnel; the agent dialed the target`);
  say(`server -> client   ${report.connectStatus} after ${report.connectMs.toFixed(1)} ms`);
  say(
    `client -> target   ${report.tlsProtocol} handshake inside the stream, ${report.handshakeMs.toFixed(1)} ms`,
  );
  say(
    `target -> client   GET /pods: ${report.status} after ${report.answerMs.toFixed(1)} ms, ${report.body.length} bytes`,
  );
  say(`                   ${report.body.slice(0, 72)}...`);
  say();
  say('Try it yourself from another terminal:');
  say();
  say(`  curl --proxy https://localhost:${frontEndPort} \\`);
  say(`    --proxy-cacert ${pki.frontend.caFile} \\`);
  say(
    `    --proxy-cert ${pki.frontend.client.certFile} --proxy-key ${pki.frontend.client.keyFile} \\`,
  );
  say(`    --cacert ${pki.kubelet.caFile} \\`);
  say(`    --cert ${pki.kubelet.client.certFile} --key ${pki.kubelet.client.keyFile} \\`);
  say(`    https://localhost:${kubelet.port}/pods`);
  say();
  say(`  curl http://${host}:${health.port}/metrics`);
  say();
  say('Ctrl-C ends everything.');

  await Promise.race([aborted(stopped), failsWith(server), failsWith(agent)]);
}

/** Rejects if the process ends before it is stopped. */
async function failsWith(running: RunningProcess): Promise<never> {
  await running.exit;
  throw new Error(`${running.name} ended unexpectedly\n${running.describe()}`);
}

try {
  await main();
} catch (error) {
  // A terminal's Ctrl-C also ends the server and the agent, which is no failure.
  if (!stopped.aborted) {
    say(`The demo failed: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
} finally {
  await closeAll();
}
