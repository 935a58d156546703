import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:tls';
import { type ClientTls, connectThrough, type FrontEndAddress } from '@fairlead/testkit';

/** What one HTTPS request through the tunnel met on its way; times in milliseconds. */
export interface RequestReport {
  readonly connectStatus: number;
  readonly connectMs: number;
  readonly tlsProtocol: string;
  readonly handshakeMs: number;
  readonly status: number;
  readonly body: string;
  readonly answerMs: number;
}

/** CONNECT through the front end, then TLS to the target inside, then GET. */
export async function requestThrough(
  via: FrontEndAddress,
  target: { readonly host: string; readonly port: number },
  tls: ClientTls,
  path: string,
): Promise<RequestReport> {
  const startedAt = performance.now();
  const reply = await connectThrough({ via, target: `${target.host}:${target.port}` });
  if (reply.status !== 200) {
    throw new Error(`the server answered ${reply.status}: ${reply.body.trim()}`);
  }
  const connectedAt = performance.now();
  const secure = connect({
    ...tls,
    socket: reply.socket,
    servername: tls.servername ?? 'localhost',
  });
  await once(secure, 'secureConnect');
  const securedAt = performance.now();
  const get = request({
    path,
    headers: { host: 'kubelet', connection: 'close' },
    createConnection: () => secure,
  });
  get.end();
  const [response] = (await once(get, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += chunk;
  return {
    connectStatus: reply.status,
    connectMs: connectedAt - startedAt,
    tlsProtocol: secure.getProtocol() ?? 'unknown',
    handshakeMs: securedAt - connectedAt,
    status: response.statusCode ?? 0,
    body: body.trim(),
    answerMs: performance.now() - securedAt,
  };
}
