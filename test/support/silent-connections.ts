/** Connections to a server's ports that send nothing, or half a message, and the deadlines that apply to them. */
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { connectHead, type FrontEndAddress, openFrontEnd, sharedTestPki } from '@fairlead/testkit';

const loopback = '127.0.0.1';

const http2Preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Half a request to an HTTP/1.1 port. */
export const halfGet = 'GET /healthz HTTP/1.1\r\nHost: a';

/** A connection that stops sending: how to open it, its only bytes, and its deadline. */
export interface SilentConnection {
  readonly name: string;
  readonly deadlineMs: number;
  open(): Promise<Socket>;
  readonly bytes?: string | Buffer;
}

export interface ServerPorts {
  readonly tcp: Extract<FrontEndAddress, { readonly port: number }>;
  readonly uds: { readonly path: string };
  readonly agentPort: number;
}

export async function openTcp(port: number): Promise<Socket> {
  const socket = connectTcp({ host: loopback, port, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

/** Connections without a complete TLS handshake. Node itself applies their deadline. */
export async function beforeHandshake(
  { tcp, agentPort }: ServerPorts,
  deadlineMs: number,
): Promise<SilentConnection[]> {
  const bytes = await halfClientHello();
  return Object.entries({ 'front end': tcp.port, 'agent port': agentPort }).flatMap(
    ([name, port]) => [
      { name: `${name}: no byte`, deadlineMs, open: () => openTcp(port) },
      { name: `${name}: half a ClientHello`, deadlineMs, open: () => openTcp(port), bytes },
    ],
  );
}

/** The first bytes that a TLS client sends, cut in half. */
async function halfClientHello(): Promise<Buffer> {
  const server = createServer().listen(0, loopback);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connectTls({ host: loopback, port });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  server.close();
  return hello.subarray(0, hello.length / 2);
}

/** Tunnels that send no complete HELLO. */
export async function beforeHello(
  { agentPort }: ServerPorts,
  deadlineMs: number,
): Promise<SilentConnection[]> {
  const open = await agentPortOpener(agentPort, 'fairlead/1');
  return [
    { name: 'agent port: no HELLO', deadlineMs, open },
    { name: 'agent port: half a frame', deadlineMs, open, bytes: '\x01\x00\x00' },
  ];
}

/** Connections that send no complete request head. */
export async function beforeHead(
  { tcp, uds, agentPort }: ServerPorts,
  deadlineMs: number,
): Promise<SilentConnection[]> {
  const halfHead = connectHead('127.0.0.1:443').slice(0, 30);
  const toTcp = () => openFrontEnd(tcp);
  const toTcpByHttp2 = () => openFrontEnd(tcp, 'h2');
  const toUds = () => openFrontEnd(uds);
  const toAgentPort = await agentPortOpener(agentPort, 'http/1.1');
  const toAgentPortByHttp2 = await agentPortOpener(agentPort, 'h2');
  const connections: [name: string, open: () => Promise<Socket>, bytes?: string][] = [
    ['front end: no byte after the TLS handshake', toTcp],
    ['front end: half a head', toTcp, halfHead],
    ['front end: no byte in h2', toTcpByHttp2],
    ['front end: only a preface', toTcpByHttp2, http2Preface],
    ['UDS: no byte', toUds],
    ['UDS: half a head', toUds, halfHead],
    ['UDS: half a preface', toUds, http2Preface.slice(0, 9)],
    ['UDS: only a preface', toUds, http2Preface],
    ['agent port: no byte in HTTP/1.1', toAgentPort],
    ['agent port: half a head', toAgentPort, halfGet],
    ['agent port: no byte in h2', toAgentPortByHttp2],
    ['agent port: only a preface', toAgentPortByHttp2, http2Preface],
  ];
  return connections.map(([name, open, bytes]) => ({
    ...{ name, deadlineMs, open },
    ...(bytes !== undefined && { bytes }),
  }));
}

/** Opens connections with an agent's certificate. */
async function agentPortOpener(port: number, protocol: string): Promise<() => Promise<Socket>> {
  const { ca, client } = (await sharedTestPki()).agent;
  return async () => {
    const socket = connectTls({
      ...{ host: loopback, port, ALPNProtocols: [protocol] },
      ...{ ca, cert: client.cert, key: client.key },
    });
    await once(socket, 'secureConnect');
    return socket;
  };
}
