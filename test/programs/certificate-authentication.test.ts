/** Peers without a certificate, with one of another CA, or with an expired one, that get in anyway. */
import { once } from 'node:events';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { AgentOptions } from '@fairlead/agent';
import { connectHead, type LogLine } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { startAgent } from '../support/fleet.ts';
import { http1Client, inTime } from './clients.ts';
import {
  joinAgent,
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

async function strangers(port: 'frontend' | 'agent'): Promise<Record<string, Identity>> {
  const pki = await testPki();
  return {
    'no certificate': {},
    'a certificate of another CA': pki.foreign.client,
    'a certificate of the other port': (port === 'agent' ? pki.frontend : pki.agent).client,
    'an expired certificate': pki[port].expiredClient,
    "a server's certificate": pki[port].server,
  };
}

/** What a peer got to read, and the server's log lines about its connection. */
interface Encounter {
  readonly text: string;
  readonly lines: readonly LogLine[];
}

/** Connects, asks, and waits until the server has closed the connection and logged why. */
async function encounter(
  server: RunningServer,
  { cert, key }: Identity,
  port: 'frontend' | 'agent',
  protocol: string,
): Promise<Encounter> {
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
  // Not once(), which an error would reject: refused handshakes end with one.
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  const suffix = `:${socket.localPort}`;
  socket.write(protocol === 'http/1.1' ? connectHead('127.0.0.1:443') : 'anything');
  const isAboutUs = (line: LogLine) => String(line.address ?? '').endsWith(suffix);
  await Promise.all([
    inTime('the server closes the connection', closed),
    server.process.waitForLog((line) => line.level === 'warn' && isAboutUs(line)),
  ]);
  return { text, lines: server.process.logs.filter(isAboutUs) };
}

function checkRefused(t: Test, { text, lines }: Encounter): void {
  t.notMatch(text, /HTTP\/1\.1 (1|2)\d\d/);
  t.equal(lines.length, 1, 'one log line');
  const [line] = lines;
  t.match(line?.msg, /refused|failed/);
  t.match(line?.reason, /\S/, `with the reason: ${line?.reason}`);
}

t.test('the front end', async (t) => {
  for (const [who, identity] of Object.entries(await strangers('frontend'))) {
    for (const protocol of ['http/1.1', 'h2']) {
      await t.test(`${who}, ${protocol}`, async (t) => {
        checkRefused(t, await encounter(server, identity, 'frontend', protocol));
      });
    }
  }
  const { status } = await http1Client(t, server.tcp).ask('127.0.0.1:443');
  t.equal(status, 503, 'who is known gets in');
});

t.test('the agent port', async (t) => {
  for (const [who, identity] of Object.entries(await strangers('agent'))) {
    for (const protocol of ['fairlead/1', 'http/1.1', 'h2']) {
      await t.test(`${who}, ${protocol}`, async (t) => {
        checkRefused(t, await encounter(server, identity, 'agent', protocol));
      });
    }
  }
  t.equal(linesOf(server.process, 'agent connected').length, 0);
});

t.test('real agents', async (t) => {
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
  for (const [who, options] of Object.entries(agents)) {
    for (const transport of [...transports, 'auto'] as const) {
      await t.test(`${who}, ${transport}`, async (t) => {
        const { log } = await startAgent(t, server, { ...options, transport });
        const line = await log.until('the agent fails to join', () => {
          return log.of('cannot connect')[0] ?? log.of('disconnected')[0];
        });
        const said = JSON.stringify(line);
        t.match(said, /certificate|unauthenticated/, `the agent says why: ${said}`);
        t.equal(log.of('connected').length, 0);
      });
    }
  }
  await t.test('a server that the agent does not trust', async (t) => {
    const { log } = await startAgent(t, server, { caCert: pki.foreign.caFile });
    const line = await log.line('cannot connect');
    t.match(line.reason, 'server_certificate');
  });
  t.equal(linesOf(server.process, 'agent connected').length, 0, 'no tunnel');
  const { code } = await http1Client(t, server.uds).ask('127.0.0.1:443');
  t.equal(code, 'no_agent');
  await joinAgent(t, server);
});
