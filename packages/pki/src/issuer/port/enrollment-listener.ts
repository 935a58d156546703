import { constants } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { listen, peerAddress } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { HandshakeLimit, peerCertificate, refusalOfPeer } from '@fairlead/runtime/tls';
import {
  CA_PATH,
  ENROLL_PATH,
  enrollRequest,
  RENEW_PATH,
  type RefusalCode,
  renewRequest,
} from '../../enrollment/index.ts';
import { TokenStoreError } from '../tokens/token-store.ts';
import type { Enrollments, RenewingPeer } from './enrollments.ts';
import { readJsonBody } from './json-body.ts';
import { Refusal } from './refusal.ts';
import type { RequestLimits } from './request-limits.ts';

export interface EnrollmentListenerOptions {
  readonly port: number;
  readonly host: string | undefined;
  readonly tls: SecureContextOptions;
  /** What agents are told the CA is, in PEM; may have been reloaded. */
  caPem(): string;
  readonly enrollments: Enrollments;
  readonly limits: RequestLimits;
  /** From TCP to the end of the answer. */
  readonly timeoutMs: number;
  readonly maxConnections: number;
  readonly logger: Logger;
  onRefused(code: string): void;
}

const listener = 'enrolment';
/** What an agent sends has a tenth of it. */
const maxHeadBytes = 4096;

interface Answer {
  readonly contentType: string;
  readonly body: string;
}

/**
 * The port where strangers ask for certificates. One request a connection, each with a deadline for all of
 * it, so that no peer, however slow, holds anything for longer.
 */
export class EnrollmentListener {
  readonly #options: EnrollmentListenerOptions;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  readonly #waiting: HandshakeLimit;

  constructor(options: EnrollmentListenerOptions) {
    this.#options = options;
    this.#waiting = new HandshakeLimit(options.maxConnections, () => {
      this.#onCut('connections', undefined, 'too many connections; the oldest was cut off');
    });
    this.#server = createServer({
      ...options.tls,
      requestCert: true,
      // Who has none may still enroll; who renews is told what is wrong with theirs.
      rejectUnauthorized: false,
      // A resumed session would stand for a certificate that was looked at earlier.
      secureOptions: constants.SSL_OP_NO_TICKET,
      handshakeTimeout: options.timeoutMs,
      // The deadline of `#onConnection` holds for all of it.
      headersTimeout: 0,
      requestTimeout: 0,
      maxHeaderSize: maxHeadBytes,
    });
    this.#server.on('connection', (socket: Socket) => this.#onConnection(socket));
    this.#server.on('request', (request, response) => void this.#answer(request, response));
    // Of a failed handshake, too: node hands 'tlsClientError' on to it.
    this.#server.on('clientError', this.#onClientError);
  }

  /** Open connections. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** @throws StartupError that names the flag */
  listen(): Promise<AddressInfo> {
    const { host, port, logger } = this.#options;
    return listen(this.#server, { listener, flag: '--enrollment-port', host, port }, logger);
  }

  /** Certificates for handshakes from now on. */
  setSecureContext(tls: SecureContextOptions): void {
    this.#server.setSecureContext({ ...tls, secureOptions: constants.SSL_OP_NO_TICKET });
  }

  /** Takes no more connections; resolves when those that are open have ended, as each does within the deadline. */
  drain(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  destroyAll(): void {
    this.#server.close();
    for (const socket of [...this.#connections]) socket.destroy();
  }

  #onConnection(socket: Socket): void {
    this.#connections.add(socket);
    this.#waiting.begin(socket);
    const deadline = setTimeout(() => {
      const what = `not done within ${this.#options.timeoutMs} ms`;
      this.#onCut('timeout', socket, what);
      socket.destroy();
    }, this.#options.timeoutMs);
    socket.once('close', () => {
      clearTimeout(deadline);
      this.#connections.delete(socket);
    });
  }

  #onClientError = (error: NodeJS.ErrnoException, socket: Socket): void => {
    const isHttp = error.code?.startsWith('HPE_');
    const isHead = error.code === 'HPE_HEADER_OVERFLOW';
    // Else a port probe, or one that our own deadline has cut off.
    if (error.code !== 'ECONNRESET') {
      const reason = isHead ? 'the request head is too long' : error.message;
      if (isHttp) this.#onCut('bad_request', socket, reason);
      else this.#onCut('tls', socket, `TLS failed: ${error.code ?? reason}`);
    }
    // Node leaves a socket open whose handshake took too long.
    if (!isHttp || !socket.writable) {
      socket.destroy();
      return;
    }
    const status = isHead ? '431 Request Header Fields Too Large' : '400 Bad Request';
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  };

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const socket = request.socket as TLSSocket;
    const address = peerAddress(socket);
    // Now, while the connection is sure to be there.
    const source = socket.remoteAddress ?? '';
    const path = request.url ?? '';
    try {
      this.#options.limits.admit(source);
      const { contentType, body } = await this.#route(request, socket, address);
      send(response, 200, contentType, body);
    } catch (error) {
      const refusal = this.#refusalOf(error, address);
      if (isTheirFault(refusal.code)) this.#options.limits.onFailure(source);
      const { code, status, message, enrollment } = refusal;
      this.#options.onRefused(code);
      // Of the path only what is ours: anything could be in it, a token too.
      const asked = [CA_PATH, ENROLL_PATH, RENEW_PATH].includes(path) ? path : 'another path';
      const fields = {
        listener,
        address,
        request: asked,
        code,
        enrolment: enrollment,
        reason: message,
      };
      this.#options.logger.warn(fields, 'enrollment refused');
      if (code === 'rate_limited' || code === 'unavailable') response.setHeader('retry-after', '5');
      send(response, status, 'application/json', JSON.stringify({ code, error: message }));
    }
  }

  async #route(request: IncomingMessage, socket: TLSSocket, address: string): Promise<Answer> {
    const { enrollments, caPem } = this.#options;
    const { method, url: path = '' } = request;
    const wanted = path === CA_PATH ? 'GET' : 'POST';
    if (![CA_PATH, ENROLL_PATH, RENEW_PATH].includes(path)) {
      throw new Refusal('bad_request', 'there is nothing at this path', { status: 404 });
    }
    if (method !== wanted) {
      throw new Refusal('bad_request', `${path} takes ${wanted} only`, { status: 405 });
    }
    if (path === CA_PATH) return { contentType: 'application/x-pem-file', body: caPem() };
    if (path === ENROLL_PATH) {
      const { token, csr } = await readJsonBody(request, enrollRequest);
      return certificate(await enrollments.redeem(token, csr, address));
    }
    const peer = renewingPeer(socket, address);
    const { csr } = await readJsonBody(request, renewRequest);
    return certificate(enrollments.renew(peer, csr));
  }

  #refusalOf(error: unknown, address: string): Refusal {
    if (error instanceof Refusal) return error;
    if (error instanceof TokenStoreError) {
      const { message: detail } = error;
      this.#options.logger.error({ listener, address, detail }, 'the tokens are out of reach');
      return new Refusal('unavailable', 'the issuer cannot look at its tokens now; ask again');
    }
    this.#options.logger.error({ err: error, listener, address }, 'an enrollment request failed');
    return new Refusal('unavailable', 'the issuer failed; its log says why');
  }

  #onCut(code: string, socket: Socket | undefined, reason: string): void {
    this.#options.onRefused(code);
    const address = socket && peerAddress(socket);
    this.#options.logger.warn({ listener, address, code, reason }, 'enrollment refused');
  }
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    connection: 'close',
  });
  response.end(body);
}

const certificate = (pem: string): Answer => ({
  contentType: 'application/json',
  body: JSON.stringify({ certificate: pem }),
});

/** Who is at the other end of a connection that is to renew. @throws Refusal */
function renewingPeer(socket: TLSSocket, address: string): RenewingPeer {
  const refused = refusalOfPeer(socket);
  const shown = refused === undefined ? peerCertificate(socket) : undefined;
  if (!shown) {
    const cure = /expired/.test(refused ?? '') ? '; the agent has to join anew, with a token' : '';
    throw new Refusal('certificate_refused', `${refused ?? 'no certificate'}${cure}`);
  }
  const commonName = socket.getPeerCertificate().subject.CN as string | string[] | undefined;
  return { address, commonName: [commonName].flat().at(-1), certificate: shown };
}

const isTheirFault = (code: RefusalCode): boolean =>
  code !== 'rate_limited' && code !== 'unavailable';
