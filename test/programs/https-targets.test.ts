/** HTTPS targets by IPv4, IPv6 and name, through every transport, for curl and for each kind of client. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, connect as connectTcp, createServer, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { readText, startKubeletTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { authority, type ClientKind, clientKinds, openClient } from './clients.ts';
import {
  connectAgent,
  loopback,
  type RunningServer,
  startServer,
  testPki,
  transports,
} from './fixture.ts';

const run = promisify(execFile);

/** Hosts in the clients' requests, and the address on which each one's target listens. */
const hosts = { '127.0.0.1': loopback, '[::1]': '::1', localhost: loopback } as const;
type Host = keyof typeof hosts;

async function startTargets(t: Test): Promise<Record<Host, number>> {
  const { kubelet } = await testPki();
  const tls = { ca: kubelet.ca, cert: kubelet.server.cert, key: kubelet.server.key };
  const portOn = async (host: string) => {
    const target = await startKubeletTarget({ host, tls });
    t.teardown(() => target.close());
    return target.port;
  };
  const port = await portOn(loopback);
  return { '127.0.0.1': port, '[::1]': await portOn('::1'), localhost: port };
}

/** A TCP port in front of the UDS, since curl's `--unix-socket` replaces the proxy. */
async function startUdsRelay(t: Test, path: string): Promise<{ host: string; port: number }> {
  const relay = createServer({ allowHalfOpen: true }, (near) => {
    const far = connectTcp({ path, allowHalfOpen: true });
    near.on('error', () => far.destroy()).pipe(far);
    far.on('error', () => near.destroy()).pipe(near);
  });
  relay.listen(0, loopback);
  await once(relay, 'listening');
  t.teardown(() => {
    relay.close();
  });
  return { host: loopback, port: (relay.address() as AddressInfo).port };
}

/** Why curl cannot be used on this machine, or false. */
async function curlSkipReason(): Promise<string | false> {
  return run('curl', ['--version']).then(
    ({ stdout }) => !stdout.includes('HTTPS-proxy') && 'curl is built without HTTPS proxies',
    () => 'there is no curl on this machine',
  );
}

/** Sends a GET over a stream to an HTTPS target. */
async function getPods(stream: Duplex, host: string): Promise<{ status: number; text: string }> {
  const { kubelet } = await testPki();
  const { cert, key } = kubelet.client;
  const name = host.replace(/[[\]]/g, '');
  const secure = connect({
    ...{ ca: kubelet.ca, cert, key, socket: stream },
    // `host` is what the certificate is verified against; SNI carries names only.
    ...{ host: name, servername: isIP(name) === 0 ? name : '' },
  });
  return new Promise((resolve, reject) => {
    secure.once('error', reject);
    const get = request({ path: '/pods', createConnection: () => secure });
    get.once('error', reject);
    get.once('response', (response) => {
      readText(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, text }),
        reject,
      );
    });
    get.end();
  });
}

const server = await startServer(t);
const skipCurl = await curlSkipReason();

for (const transport of [...transports, 'grpc']) {
  t.test(`reaches HTTPS targets through a ${transport} tunnel`, async (t) => {
    await connectAgent(t, server, { transport });
    const ports = await startTargets(t);

    await t.test('with curl', { skip: skipCurl }, (t) => tryCurl(t, server, ports));

    for (const kind of clientKinds) {
      await t.test(`with ${kind}`, (t) => tryConnect(t, server, ports, kind));
    }
  });
}

async function tryCurl(t: Test, server: RunningServer, ports: Record<Host, number>): Promise<void> {
  const { frontend, kubelet } = await testPki();
  const toTarget = [
    ...['--cacert', kubelet.caFile],
    ...['--cert', kubelet.client.certFile, '--key', kubelet.client.keyFile],
  ];
  const proxyFlags = {
    TCP: [
      ...['--proxy', `https://localhost:${server.tcp.port}`, '--proxy-cacert', frontend.caFile],
      ...['--proxy-cert', frontend.client.certFile, '--proxy-key', frontend.client.keyFile],
    ],
    UDS: ['--proxy', `http://${authority(await startUdsRelay(t, server.uds.path))}`],
  };
  for (const [listener, toProxy] of Object.entries(proxyFlags)) {
    for (const host of Object.keys(hosts) as Host[]) {
      const { stdout } = await run('curl', [
        ...['--silent', '--show-error', '--fail', '--noproxy', '', '--max-time', '60'],
        ...['--write-out', ' %{http_connect} %{http_code}'],
        ...[...toProxy, ...toTarget, `https://${host}:${ports[host]}/pods`],
      ]);
      t.match(stdout, /"kind":"PodList"[\s\S]* 200 200$/, `${host} over ${listener}`);
    }
  }
}

async function tryConnect(
  t: Test,
  server: RunningServer,
  ports: Record<Host, number>,
  kind: ClientKind,
): Promise<void> {
  const client = await openClient[kind](t, server);
  for (const host of Object.keys(hosts) as Host[]) {
    const stream = await client.open(`${host}:${ports[host]}`);
    const { status, text } = await getPods(stream, host);
    t.equal(status, 200, host);
    t.match(text, '"kind":"PodList"', host);
  }
}
