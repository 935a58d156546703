/** Peers without a certificate, or with an expired or otherwise invalid one, are refused with a reason. */
import { once } from 'node:events';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { AgentOptions } from '@fairlead/agent';
import { connectHead, type LogLine } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { startAgent } from '../support/fleet.ts';
import { http1Client, inTime } from './clients.ts';
import {
  connectAgent,
  linesOf,
  loopback,
  type RunningServer,
  startServer,
  testPki,
  transports,
} from './fixture.ts';

const server = await startServer(t);

interface Identity {
  readonly cert?: string;
  readonly key?: string;
}

async function invalidIdentities(port: 'frontend' | 'agent'): Promise<Record<string, Identity>> {
  const pki = await testPki();
  return {
    'no certificate': {},
    'a certificate of another CA': pki.foreign.client,
    'a certificate of the other port': (port === 'agent' ? pki.frontend : pki.agent).client,
    'an expired certificate': pki[port].expiredClient,
    "a server's certificate": pki[port].server,
  };
}

/** What the peer received, and the server's log lines about its connection. */
interface Attempt {
  readonly text: string;
  readonly lines: readonly LogLine[];
}

/** Connects, sends a request, and waits until the server has closed the connection and logged the reason. */
async function attempt(
  server: RunningServer,
  { cert, key }: Identity,
  port: 'frontend' | 'agent',
  protocol: string,
): Promise<Attempt> {
  const pki = await testPki();
  const socket: TLSSocket = connectTls({
    ...{ host: loopback, port: port === 'agent' ? server.agentPort : server.tcp.port },
    ...{ ca: pki[port].ca, ALPNProtocols: [protocol], ...(cert && key && { cert, key }) },
  });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  // Not once(): it rejects on an error, and a refused handshake ends with one.
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  const suffix = `:${socket.localPort}`;
  socket.write(protocol === 'http/1.1' ? connectHead('127.0.0.1:443') : 'anything');
  const isAboutThis = (line: LogLine) => String(line.address ?? '').endsWith(suffix);
  await Promise.all([
    inTime('the server closes the connection', closed),
    server.process.waitForLog((line) => line.level === 'warn' && isAboutThis(line)),
  ]);
  return { text, lines: server.process.logs.filter(isAboutThis) };
}

function checkRefused(t: Test, { text, lines }: Attempt): void {
  t.notMatch(text, /HTTP\/1\.1 (1|2)\d\d/);
  t.equal(lines.length, 1, 'one log line');
  const [line] = lines;
  t.match(line?.msg, /refused|failed/);
  t.match(line?.reason, /\S/, `the reason: ${line?.reason}`);
}

t.test('the front end refuses clients with an invalid certificate', async (t) => {
  for (const [name, identity] of Object.entries(await invalidIdentities('frontend'))) {
    for (const protocol of ['http/1.1', 'h2']) {
      await t.test(`${name}, ${protocol}`, async (t) => {
        checkRefused(t, await attempt(server, identity, 'frontend', protocol));
      });
    }
  }
  const { status } = await http1Client(t, server.tcp).ask('127.0.0.1:443');
  t.equal(status, 503, 'a client with a valid certificate is admitted');
});

t.test('the agent port refuses agents with an invalid certificate', async (t) => {
  for (const [name, identity] of Object.entries(await invalidIdentities('agent'))) {
    for (const protocol of ['fairlead/1', 'http/1.1', 'h2']) {
      await t.test(`${name}, ${protocol}`, async (t) => {
        checkRefused(t, await attempt(server, identity, 'agent', protocol));
      });
    }
  }
  t.equal(linesOf(server.process, 'agent connected').length, 0);
});

t.test('an agent with an invalid certificate logs why it cannot connect', async (t) => {
  const pki = await testPki();
  const agents: Record<string, Partial<AgentOptions>> = {
    'no certificate': { agentCert: undefined, agentKey: undefined },
    'a certificate of another CA': {
      agentCert: pki.foreign.client.certFile,
      agentKey: pki.foreign.client.keyFile,
    },
    'an expired certificate': {
      agentCert: pki.agent.expiredClient.certFile,
      agentKey: pki.agent.expiredClient.keyFile,
    },
  };
  for (const [name, options] of Object.entries(agents)) {
    for (const transport of [...transports, 'auto'] as const) {
      await t.test(`${name}, ${transport}`, async (t) => {
        const { log } = await startAgent(t, server, { ...options, transport });
        const line = await log.until('the agent fails to connect', () => {
          return log.of('cannot connect')[0] ?? log.of('disconnected')[0];
        });
        const text = JSON.stringify(line);
        t.match(text, /certificate|unauthenticated/, `the agent logs the reason: ${text}`);
        t.equal(log.of('connected').length, 0);
      });
    }
  }
  await t.test('a server with a certificate of another CA', async (t) => {
    const { log } = await startAgent(t, server, { caCert: pki.foreign.caFile });
    const line = await log.line('cannot connect');
    t.match(line.reason, 'server_certificate');
  });
  t.equal(linesOf(server.process, 'agent connected').length, 0, 'no agent has connected');
  const { code } = await http1Client(t, server.uds).ask('127.0.0.1:443');
  t.equal(code, 'no_agent');
  await connectAgent(t, server);
});
