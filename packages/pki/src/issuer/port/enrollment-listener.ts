import { constants } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { listen, peerAddress } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { HandshakeLimit, peerCertificate, refusalOfPeer } from '@fairlead/runtime/tls';
import {
  CA_PATH,
  ENROLL_PATH,
  enrollRequest,
  isFinalRefusal,
  RENEW_PATH,
  renewRequest,
} from '../../enrollment/index.ts';
import type { IssuerCredentials } from '../credentials.ts';
import type { IssuerFiles } from '../issuer-files.ts';
import type { IssuerMetrics } from '../metrics.ts';
import type { IssuerOptions } from '../options.ts';
import { TokenStoreError } from '../tokens/token-store.ts';
import type { Enrollments } from './enrollments.ts';
import { readJsonBody } from './json-body.ts';
import { Refusal } from './refusal.ts';
import { RequestLimits } from './request-limits.ts';

export interface EnrollmentListenerOptions {
  readonly options: IssuerOptions;
  readonly files: IssuerFiles;
  readonly enrollments: Enrollments;
  readonly logger: Logger;
  readonly metrics: IssuerMetrics;
}

/** In log lines, which programs read. */
const listener = 'enrolment';
/** An agent's request head has a tenth of it. */
const maxHeadBytes = 4096;
const paths: readonly string[] = [CA_PATH, ENROLL_PATH, RENEW_PATH];

/**
 * The port where agents, and strangers, request certificates. Each connection has one request and one
 * deadline for everything, so that a slow peer cannot hold resources.
 */
export class EnrollmentListener {
  readonly #options: EnrollmentListenerOptions;
  readonly #limits: RequestLimits;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  readonly #waiting: HandshakeLimit;

  constructor(options: EnrollmentListenerOptions) {
    this.#options = options;
    const { maxConnections, maxRequestsPerSecond, requestTimeout } = options.options;
    this.#limits = new RequestLimits(maxRequestsPerSecond);
    this.#waiting = new HandshakeLimit(maxConnections, () => {
      this.#onCut('connections', undefined, 'too many connections; the oldest was closed');
    });
    this.#server = createServer({
      ...options.files.credentials.context,
      requestCert: true,
      // An agent that enrolls has no certificate. An agent that renews is told what is wrong with its own.
      rejectUnauthorized: false,
      // A resumed session would repeat an earlier verification of the certificate.
      secureOptions: constants.SSL_OP_NO_TICKET,
      handshakeTimeout: requestTimeout,
      // The deadline of `#onConnection` includes both.
      headersTimeout: 0,
      requestTimeout: 0,
      maxHeaderSize: maxHeadBytes,
    });
    this.#server.on('connection', (socket: Socket) => this.#onConnection(socket));
    this.#server.on('request', (request, response) => void this.#answer(request, response));
    // Also emitted for a failed handshake: node forwards 'tlsClientError' to it.
    this.#server.on('clientError', this.#onClientError);
  }

  /** @throws StartupError that names the flag */
  listen(): Promise<AddressInfo> {
    const { options, logger } = this.#options;
    const { enrollmentBindAddress: host, enrollmentPort: port } = options;
    return listen(this.#server, { listener, flag: '--enrollment-port', host, port }, logger);
  }

  /** Uses these credentials for new handshakes. */
  setCredentials = ({ context }: IssuerCredentials): void => {
    this.#server.setSecureContext({ ...context, secureOptions: constants.SSL_OP_NO_TICKET });
  };

  /** Accepts no more connections. Resolves when the open ones have ended: at most --request-timeout later. */
  async drain(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#limits.close();
  }

  destroyAll(): void {
    this.#server.close();
    for (const socket of [...this.#connections]) socket.destroy();
    this.#limits.close();
  }

  #onConnection(socket: Socket): void {
    const { options, metrics } = this.#options;
    this.#connections.add(socket);
    metrics.connections.inc();
    this.#waiting.begin(socket);
    const deadline = setTimeout(() => {
      this.#onCut('timeout', socket, `not complete within ${options.requestTimeout} ms`);
      socket.destroy();
    }, options.requestTimeout);
    socket.once('close', () => {
      clearTimeout(deadline);
      this.#connections.delete(socket);
      metrics.connections.dec();
    });
  }

  #onClientError = (error: NodeJS.ErrnoException, socket: Socket): void => {
    const isHttp = error.code?.startsWith('HPE_');
    const isHead = error.code === 'HPE_HEADER_OVERFLOW';
    // A reset is a port probe, or a connection that the deadline has closed.
    if (error.code !== 'ECONNRESET') {
      const reason = isHead ? 'the request head is too long' : error.message;
      if (isHttp) this.#onCut('bad_request', socket, reason);
      else this.#onCut('tls', socket, `TLS failed: ${error.code ?? reason}`);
    }
    // Node does not close a socket whose handshake timed out.
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
    // Read now: a closed socket has no address.
    const source = socket.remoteAddress ?? '';
    const path = request.url ?? '';
    try {
      this.#limits.admit(source);
      const body = await this.#route(request, socket, address);
      send(response, 200, path === CA_PATH ? 'application/x-pem-file' : 'application/json', body);
    } catch (error) {
      const { code, status, message, enrollment: enrolment } = this.#refusalOf(error, address);
      if (isFinalRefusal(code)) this.#limits.onFailure(source);
      else response.setHeader('retry-after', '5');
      this.#options.metrics.refused.inc({ code });
      // An unknown path is not logged: it can contain anything, even a token.
      const asked = paths.includes(path) ? path : 'another path';
      const fields = { listener, address, request: asked, code, enrolment, reason: message };
      this.#options.logger.warn(fields, 'enrollment refused');
      send(response, status, 'application/json', JSON.stringify({ code, error: message }));
    }
  }

  /** @returns the body of the answer */
  async #route(request: IncomingMessage, socket: TLSSocket, address: string): Promise<string> {
    const { enrollments, files } = this.#options;
    const { method, url: path = '' } = request;
    const wanted = path === CA_PATH ? 'GET' : 'POST';
    if (!paths.includes(path)) {
      throw new Refusal('bad_request', 'there is nothing at this path', { status: 404 });
    }
    if (method !== wanted) {
      throw new Refusal('bad_request', `${path} accepts ${wanted} only`, { status: 405 });
    }
    if (path === CA_PATH) return files.credentials.caPem;
    if (path === ENROLL_PATH) {
      const { token, csr } = await readJsonBody(request, enrollRequest);
      return JSON.stringify({ certificate: await enrollments.redeem(token, csr, address) });
    }
    const peer = renewingPeer(socket);
    const { csr } = await readJsonBody(request, renewRequest);
    return JSON.stringify({ certificate: enrollments.renew({ ...peer, address }, csr) });
  }

  #refusalOf(error: unknown, address: string): Refusal {
    if (error instanceof Refusal) return error;
    const { logger } = this.#options;
    if (error instanceof TokenStoreError) {
      const { message: detail } = error;
      logger.error({ listener, address, detail }, 'the token store is unavailable');
      return new Refusal('unavailable', 'the token store of the issuer is unavailable; try again');
    }
    logger.error({ err: error, listener, address }, 'an enrollment request failed');
    return new Refusal('unavailable', 'the issuer failed; see its log');
  }

  #onCut(code: string, socket: Socket | undefined, reason: string): void {
    const { logger, metrics } = this.#options;
    metrics.refused.inc({ code });
    const address = socket && peerAddress(socket);
    logger.warn({ listener, address, code, reason }, 'enrollment refused');
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

/** The verified certificate of an agent that renews, and its common name. @throws Refusal */
function renewingPeer(socket: TLSSocket) {
  const refused = refusalOfPeer(socket);
  const certificate = refused === undefined ? peerCertificate(socket) : undefined;
  if (!certificate) {
    const cure = /expired/.test(refused ?? '') ? '; the agent must join again, with a token' : '';
    throw new Refusal('certificate_refused', `${refused ?? 'no certificate'}${cure}`);
  }
  const commonName = socket.getPeerCertificate().subject.CN as string | string[] | undefined;
  return { certificate, commonName: [commonName].flat().at(-1) };
}
