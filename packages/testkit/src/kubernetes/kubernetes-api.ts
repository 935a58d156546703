import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Changes } from '../changes.ts';
import { sharedTestPki } from '../pki/certificates.ts';
import { makeTemporaryDirectory } from '../processes/temporary-directory.ts';
import type { Started } from '../targets/listener.ts';
import { ApiStatus } from './api-status.ts';
import { type LeaseEvent, LeaseStore } from './lease-store.ts';
import { type Given, matches, type ObjectStore, type StoredObject } from './object-store.ts';
import { SecretStore } from './secret-store.ts';

/** The owner of a token, as in the status of a TokenReview. */
export interface TokenOwner {
  readonly username: string;
  readonly audiences: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  /** Whether the answer omits the audiences, like an authenticator without support for them. */
  readonly ignoresAudiences?: boolean;
  /** An error instead of a verdict. */
  readonly error?: string;
}

type Fault = ApiStatus | undefined;

interface Watcher {
  readonly namespace: string;
  readonly selector: string;
  readonly response: ServerResponse;
}

export interface ApiRequestRecord {
  readonly method: string;
  readonly url: URL;
  readonly token: string | undefined;
}

const leasePath = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/([^/]+)\/leases(?:\/([^/]+))?$/;
const secretPath = /^\/api\/v1\/namespaces\/([^/]+)\/secrets(?:\/([^/]+))?$/;
const reviewPath = '/apis/authentication.k8s.io/v1/tokenreviews';

/**
 * The part of the Kubernetes API that servers, agents and issuers use: Leases with list, watch, versions and
 * preconditions, Secrets without watch, and TokenReviews. Over TLS, for clients with the token `api-token`.
 */
export class KubernetesApi implements Started {
  readonly requests: ApiRequestRecord[] = [];
  /** Owners by token. Other tokens are refused. */
  readonly owners = new Map<string, TokenOwner>();
  /** Tokens of clients that have access. */
  readonly callers = new Set(['api-token']);
  /** Called and awaited before each answer. An error that it returns is the answer. */
  fault: ((request: ApiRequestRecord) => Fault | Promise<Fault>) | undefined;
  readonly leases: LeaseStore;
  readonly secrets = new SecretStore();
  readonly #server: Server;
  readonly #directory: Awaited<ReturnType<typeof makeTemporaryDirectory>>;
  readonly #ca: string;
  readonly #sockets = new Set<Socket>();
  readonly #watchers = new Set<Watcher>();
  readonly #changes = new Changes();
  #port = 0;

  private constructor(
    server: Server,
    ca: string,
    directory: Awaited<ReturnType<typeof makeTemporaryDirectory>>,
  ) {
    this.#server = server;
    this.#ca = ca;
    this.#directory = directory;
    this.leases = new LeaseStore((event) => {
      for (const watcher of this.#watchers) this.#tell(watcher, event);
    });
    server.on('request', (request, response) => void this.#serve(request, response));
    server.on('secureConnection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(): Promise<KubernetesApi> {
    const { kubelet } = await sharedTestPki();
    const { cert, key } = kubelet.server;
    const directory = await makeTemporaryDirectory();
    const api = new KubernetesApi(createServer({ cert, key }), kubelet.ca, directory);
    await api.resume();
    return api;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  get watchCount(): number {
    return this.#watchers.size;
  }

  /** Writes a kubeconfig file with the token. @returns its path */
  async kubeconfig(token = 'api-token'): Promise<string> {
    const path = join(this.#directory.path, `kubeconfig-${token}`);
    await writeFile(path, JSON.stringify(this.kubeconfigFor({ token })));
    return path;
  }

  kubeconfigFor(user: object): object {
    const ca = Buffer.from(this.#ca).toString('base64');
    return {
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'here', user: 'me' } }],
      clusters: [{ name: 'here', cluster: { server: this.url, 'certificate-authority-data': ca } }],
      users: [{ name: 'me', user }],
    };
  }

  /** Requests of a kind so far: `GET watch`, `GET list`, `PUT lease`, `GET secrets`, `POST review`. */
  count(kind: string): number {
    return this.requests.filter((request) => kindOf(request) === kind).length;
  }

  /** Waits until the condition holds. It is checked after each answer, for at most a minute. */
  async until(holds: () => boolean, what?: string): Promise<void> {
    await this.#changes.until(holds, what);
  }

  /** Deletes the history, and ends the watches that need it with 410 (Gone). */
  compact(): void {
    this.leases.compact();
    for (const { response } of this.#watchers) {
      const object = statusOf(new ApiStatus(410, 'Expired', 'too old resource version'));
      response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
    }
  }

  bookmark(): void {
    for (const { response } of this.#watchers) this.#bookmark(response);
  }

  /** Ends all watches without an error, as the API does after their timeout. */
  endWatches(): void {
    for (const { response } of this.#watchers) response.end();
  }

  /** Closes all connections and accepts none until `resume`. */
  async pause(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Listens again on the same port. */
  async resume(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.pause();
    await this.#directory.close();
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '', this.url);
    const token = /^Bearer (.*)$/.exec(message.headers.authorization ?? '')?.[1];
    const request = { method: message.method ?? '', url, token };
    this.requests.push(request);
    try {
      const body: unknown = JSON.parse((await text(message)) || '{}');
      if (token === undefined || !this.callers.has(token)) {
        throw new ApiStatus(401, 'Unauthorized', 'Unauthorized');
      }
      const fault = await this.fault?.(request);
      if (fault) throw fault;
      const answer = this.#answer(request, body, response);
      if (answer !== undefined) send(response, request.method === 'POST' ? 201 : 200, answer);
    } catch (error) {
      const status =
        error instanceof ApiStatus ? error : new ApiStatus(500, 'InternalError', String(error));
      send(response, status.code, statusOf(status));
    }
    this.#changes.notify();
  }

  /** @returns undefined if the answer is a stream */
  #answer(
    { method, url }: ApiRequestRecord,
    body: unknown,
    response: ServerResponse,
  ): object | undefined {
    if (url.pathname === reviewPath && method === 'POST') return this.#review(body);
    const secret = secretPath.exec(url.pathname);
    const [, namespace, name] = secret ?? leasePath.exec(url.pathname) ?? [];
    if (namespace === undefined) throw new ApiStatus(404, 'NotFound', 'no such path');
    const store = (secret ? this.secrets : this.leases) as ObjectStore<StoredObject>;
    const given = body as Given<StoredObject>;
    if (name === undefined) {
      if (method === 'POST') return store.create(namespace, given);
      return secret
        ? this.#listSecrets(namespace, url.searchParams)
        : this.#listLeases(namespace, url.searchParams, response);
    }
    if (method === 'PUT') return store.update(namespace, name, given);
    if (method !== 'DELETE') return store.get(namespace, name);
    store.delete(namespace, name, (body as { preconditions?: object }).preconditions);
    return { apiVersion: 'v1', kind: 'Status', status: 'Success' };
  }

  #listLeases(
    namespace: string,
    query: URLSearchParams,
    response: ServerResponse,
  ): object | undefined {
    const selector = query.get('labelSelector') ?? '';
    if (query.get('watch') === 'true') {
      const watcher = { namespace, selector, response };
      if (query.get('sendInitialEvents') === 'true') this.#watchList(watcher);
      else this.#watch(watcher, Number(query.get('resourceVersion')));
      return undefined;
    }
    const metadata = { resourceVersion: String(this.leases.version) };
    const items = this.leases.all(namespace, selector);
    return { apiVersion: 'coordination.k8s.io/v1', kind: 'LeaseList', metadata, items };
  }

  #listSecrets(namespace: string, query: URLSearchParams): object {
    const { items, next } = this.secrets.page(namespace, query);
    const metadata = { resourceVersion: '1', ...(next !== '' && { continue: next }) };
    return { apiVersion: 'v1', kind: 'SecretList', metadata, items };
  }

  #watch(watcher: Watcher, since: number): void {
    const missed = this.leases.since(since);
    watcher.response.writeHead(200, { 'content-type': 'application/json' });
    watcher.response.flushHeaders();
    for (const event of missed) this.#tell(watcher, event);
    this.#watchers.add(watcher);
    watcher.response.once('close', () => {
      this.#watchers.delete(watcher);
      this.#changes.notify();
    });
  }

  /** A watch that begins with the existing objects (KEP-3157), as newer Go clients request it. */
  #watchList(watcher: Watcher): void {
    this.#watch(watcher, this.leases.version);
    for (const object of this.leases.all(watcher.namespace, watcher.selector)) {
      watcher.response.write(`${JSON.stringify({ type: 'ADDED', object })}\n`);
    }
    this.#bookmark(watcher.response, { 'k8s.io/initial-events-end': 'true' });
  }

  #bookmark(response: ServerResponse, annotations?: object): void {
    const metadata = { resourceVersion: String(this.leases.version), annotations };
    const object = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: {} };
    response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  #tell({ namespace, selector, response }: Watcher, { type, object }: LeaseEvent): void {
    if (object.metadata.namespace !== namespace || !matches(object, selector)) return;
    response.write(`${JSON.stringify({ type, object })}\n`);
  }

  #review(body: unknown): object {
    const { spec } = body as { spec: { token: string; audiences: string[] } };
    return {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec,
      status: this.#verdict(spec),
    };
  }

  #verdict({ token, audiences }: { token: string; audiences: string[] }): object {
    const owner = this.owners.get(token);
    if (owner?.error !== undefined) return { authenticated: false, error: owner.error };
    if (!owner) return { authenticated: false, error: '[invalid bearer token]' };
    const { username, extra, ignoresAudiences } = owner;
    const common = audiences.filter((audience) => owner.audiences.includes(audience));
    if (common.length === 0 && !ignoresAudiences) {
      const error = `[invalid bearer token, token audiences ${JSON.stringify(owner.audiences)} is invalid for the target audiences ${JSON.stringify(audiences)}]`;
      return { authenticated: false, error };
    }
    return {
      authenticated: true,
      user: { username, uid: 'u', groups: ['system:serviceaccounts'], ...(extra && { extra }) },
      ...(!ignoresAudiences && { audiences: common }),
    };
  }
}

function kindOf({ method, url }: ApiRequestRecord): string {
  const secret = secretPath.exec(url.pathname);
  if (secret) return `${method} ${secret[2] === undefined ? 'secrets' : 'secret'}`;
  if (url.pathname === reviewPath) return `${method} review`;
  if (leasePath.exec(url.pathname)?.[2] !== undefined) return `${method} lease`;
  if (method !== 'GET') return `${method} lease`;
  return url.searchParams.get('watch') === 'true' ? 'GET watch' : 'GET list';
}

function statusOf({ code, reason, message }: ApiStatus): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}

function send(response: ServerResponse, code: number, answer: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
}
