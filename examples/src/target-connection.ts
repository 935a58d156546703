import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { type ClientTls, connectThrough, type FrontEndAddress } from '@fairlead/testkit';

/** A target behind the tunnel. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** TLS inside the stream. The default is plain TCP. */
  readonly tls?: ClientTls;
}

/** A connection to a target. Times are in milliseconds. */
export interface TargetConnection {
  readonly socket: Duplex;
  readonly connectStatus: number;
  readonly connectMs: number;
  /** `none` for plain TCP. */
  readonly tlsProtocol: string;
  readonly handshakeMs: number;
}

/** The server refused the request. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, body: string) {
    super(`the server answered ${status}: ${body.trim()}`);
    this.status = status;
  }
}

/**
 * Sends CONNECT to the front end, then starts TLS inside the stream if the target uses it.
 *
 * @throws Refusal if the server refuses the request; otherwise the error of the system or of TLS
 */
export async function connectToTarget(
  via: FrontEndAddress,
  target: Target,
): Promise<TargetConnection> {
  const startedAt = performance.now();
  const reply = await connectThrough({ via, target: `${target.host}:${target.port}` });
  if (reply.status !== 200) {
    reply.socket.destroy();
    throw new Refusal(reply.status, reply.body);
  }
  const connectedAt = performance.now();
  const connected = { connectStatus: reply.status, connectMs: connectedAt - startedAt };
  if (!target.tls) {
    return { socket: reply.socket, ...connected, tlsProtocol: 'none', handshakeMs: 0 };
  }
  const secure = connect({
    ...target.tls,
    socket: reply.socket,
    servername: target.tls.servername ?? 'localhost',
  });
  await once(secure, 'secureConnect');
  return {
    socket: secure,
    ...connected,
    tlsProtocol: secure.getProtocol() ?? 'unknown',
    handshakeMs: performance.now() - connectedAt,
  };
}
