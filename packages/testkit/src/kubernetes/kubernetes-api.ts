import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { Changes } from '../changes.ts';
import { sharedTestPki } from '../pki/certificates.ts';
import { makeTemporaryDirectory } from '../processes/temporary-directory.ts';
import type { Started } from '../targets/listener.ts';
import { ApiStatus, matches } from './api-status.ts';
import { type GivenLease, type LeaseEvent, LeaseStore } from './lease-store.ts';
import { type GivenSecret, SecretStore } from './secret-store.ts';

/** The owner of a token, as in the status of a TokenReview. */
export interface TokenOwner {
  readonly username: string;
  /** The audiences of the token. */
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

/** A recorded request. */
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

  /** The content of a kubeconfig file for a user. */
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

  /** Sends a bookmark to all watches. */
  bookmark(): void {
    const metadata = { resourceVersion: String(this.leases.version) };
    const object = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: {} };
    for (const { response } of this.#watchers) {
      response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
    }
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
      const body = await bodyOf(message);
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
    const [, secretNamespace, secretName] = secretPath.exec(url.pathname) ?? [];
    if (secretNamespace !== undefined) {
      return this.#answerOfSecrets({ method, url }, secretNamespace, secretName, body);
    }
    const [, namespace, name] = leasePath.exec(url.pathname) ?? [];
    if (namespace === undefined) throw new ApiStatus(404, 'NotFound', 'no such path');
    const selector = url.searchParams.get('labelSelector') ?? '';
    if (name === undefined) {
      if (method === 'POST') return this.leases.create(namespace, body as GivenLease);
      if (url.searchParams.get('watch') === 'true') {
        const watcher = { namespace, selector, response };
        if (url.searchParams.get('sendInitialEvents') === 'true') this.#watchList(watcher);
        else this.#watch(watcher, Number(url.searchParams.get('resourceVersion')));
        return undefined;
      }
      const metadata = { resourceVersion: String(this.leases.version) };
      return {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'LeaseList',
        metadata,
        items: this.leases.all(namespace, selector),
      };
    }
    if (method === 'PUT') return this.leases.update(namespace, name, body as GivenLease);
    if (method === 'DELETE') {
      this.leases.delete(namespace, name, (body as { preconditions?: object }).preconditions);
      return success;
    }
    return this.leases.get(namespace, name);
  }

  #answerOfSecrets(
    { method, url }: Pick<ApiRequestRecord, 'method' | 'url'>,
    namespace: string,
    name: string | undefined,
    body: unknown,
  ): object {
    if (name === undefined) {
      if (method === 'POST') return this.secrets.create(namespace, body as GivenSecret);
      const { items, next } = this.secrets.page(namespace, url.searchParams);
      const metadata = { resourceVersion: '1', ...(next !== '' && { continue: next }) };
      return { apiVersion: 'v1', kind: 'SecretList', metadata, items };
    }
    if (method === 'PUT') return this.secrets.update(namespace, name, body as GivenSecret);
    if (method === 'DELETE') {
      this.secrets.delete(namespace, name, (body as { preconditions?: object }).preconditions);
      return success;
    }
    return this.secrets.get(namespace, name);
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
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    const metadata = { resourceVersion: String(this.leases.version), annotations };
    const object = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: {} };
    watcher.response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
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

const success = { apiVersion: 'v1', kind: 'Status', status: 'Success' };

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
  const body = JSON.stringify(answer);
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(body);
}

async function bodyOf(message: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of message) text += chunk;
  return text === '' ? {} : JSON.parse(text);
}
