/**
 * Fairlead as a library: a server and an agent in one process, and one request through the tunnel.
 *
 *     npx fairlead pki init --out pki
 *     node examples/dist/library-main.js pki http://localhost:7080/
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createAgent } from '@fairlead/agent';
import { createLogger } from '@fairlead/runtime/process';
import { createServer } from '@fairlead/server';

const [pki, url] = process.argv.slice(2);
if (pki === undefined || url === undefined) {
  console.error('usage: node examples/dist/library-main.js PKI_DIRECTORY URL');
  process.exit(2);
}
const target = new URL(url);
const directory = mkdtempSync(join(tmpdir(), 'fairlead-library-'));
const udsName = join(directory, 'front-end.sock');
const logger = createLogger('warn', process.stderr);
const loopback = '127.0.0.1';

const server = await createServer(
  {
    udsName,
    clusterCert: join(pki, 'agent/server.crt'),
    clusterKey: join(pki, 'agent/server.key'),
    clusterCaCert: join(pki, 'agent/ca.crt'),
    agentBindAddress: loopback,
    // Port 0 lets the system pick a free port; `server.addresses` has it.
    agentPort: 0,
    healthPort: 0,
    adminPort: 0,
  },
  logger,
);
const agent = await createAgent(
  {
    proxyServerHost: [loopback],
    proxyServerPort: server.addresses.agent.port,
    agentId: 'node-1',
    caCert: join(pki, 'agent/ca.crt'),
    agentCert: join(pki, 'agent/agent.crt'),
    agentKey: join(pki, 'agent/agent.key'),
    healthServerPort: 0,
    adminServerPort: 0,
  },
  logger,
);
try {
  await untilReady();
  const socket = await connectThrough(`${target.hostname}:${target.port || 80}`);
  const get = request({
    path: target.pathname,
    headers: { host: target.host, connection: 'close' },
    createConnection: () => socket,
  });
  get.end();
  const [response] = (await once(get, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  console.log(`${response.statusCode} from ${url} through the tunnel of node-1`);
} finally {
  await agent.drain();
  await server.drain();
  rmSync(directory, { recursive: true });
}

/** The agent connects in the background. Waits until the server can choose it. @throws Error after 30 s */
async function untilReady(): Promise<void> {
  for (const untilMs = performance.now() + 30_000; !agent.isReady; ) {
    if (performance.now() > untilMs) throw new Error(agent.describe());
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Sends CONNECT to the front end's Unix domain socket. @throws Error with the server's refusal */
async function connectThrough(authority: string): Promise<Duplex> {
  const connect = request({ socketPath: udsName, method: 'CONNECT', path: authority });
  connect.end();
  const [response, socket] = (await once(connect, 'connect')) as [IncomingMessage, Duplex];
  if (response.statusCode !== 200) {
    throw new Error(
      `CONNECT ${authority}: ${response.statusCode} ${response.headers['fairlead-error']}`,
    );
  }
  return socket;
}
