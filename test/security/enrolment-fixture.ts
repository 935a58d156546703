/** Real programs around an issuer: `fairlead issuer`, `fairlead token`, servers and agents that join. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { caHash, makeCertificateRequest, makeToken, type Token } from '@fairlead/enrolment';
import { type AgentGrant, FileTokenStore, recordOf } from '@fairlead/issuer';
import {
  type Authority,
  createAuthority,
  issueCertificate,
  pemPair,
  writeIssuerPki,
  writePemFiles,
} from '@fairlead/pki';
import { closeAfter, commandOf, programs, RunningProcess } from '@fairlead/testkit';
import type { Test } from 'tap';

export const loopback = '127.0.0.1';

/** Flags by their names; undefined leaves one out. */
type Flags = Readonly<Record<string, string | undefined>>;

/** An installation whose agents join by themselves: the CA's key is nowhere but in this process. */
export class Installation {
  readonly directory: string;
  readonly root: Authority;
  /** The intermediate, as a thief of the issuer's files would have it. */
  readonly issuer: Authority;

  private constructor(directory: string, root: Authority, issuer: Authority) {
    this.directory = directory;
    this.root = root;
    this.issuer = issuer;
  }

  static async make(): Promise<Installation> {
    const directory = mkdtempSync(join(tmpdir(), 'fairlead-'));
    process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
    mkdirSync(join(directory, 'tokens'), { mode: 0o700 });
    const root = await createAuthority({ name: 'agent CA' });
    const { authority } = await writeIssuerPki(join(directory, 'issuer'), root, {
      hosts: ['localhost'],
      ips: [loopback],
    });
    const server = await issueCertificate(root, { kind: 'server', name: 's', ips: [loopback] });
    await writePemFiles(pemPair(directory, 'server', server));
    return new Installation(directory, root, authority);
  }

  path(...names: string[]): string {
    return join(this.directory, ...names);
  }

  /** Writes a file into the directory; its path. */
  async file(name: string, text: string): Promise<string> {
    await writeFile(this.path(name), text);
    return this.path(name);
  }

  get caHash(): string {
    return caHash(this.root.certificate);
  }

  /** The files and the port of `fairlead issuer`. */
  issuerFlags(): Flags {
    return {
      'server-cert': this.path('issuer/server.crt'),
      'server-key': this.path('issuer/server.key'),
      'ca-cert': this.path('issuer/ca.crt'),
      'issuer-cert': this.path('issuer/issuer.crt'),
      'issuer-key': this.path('issuer/issuer.key'),
      'token-dir': this.path('tokens'),
      'enrolment-port': '0',
      'enrolment-bind-address': loopback,
      'health-port': '0',
      'health-bind-address': loopback,
    };
  }

  /** Starts `fairlead issuer`; its port. */
  async startIssuer(
    t: Test,
    flags: Flags = {},
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ process: RunningProcess; port: number }> {
    const process = await this.runIssuer(t, flags, env);
    const { port } = await process.waitForListener('enrolment');
    return { process, port };
  }

  /** Starts `fairlead issuer`, which may refuse to. */
  async runIssuer(
    t: Test,
    flags: Flags,
    env: Readonly<Record<string, string>> = {},
  ): Promise<RunningProcess> {
    const args = ['issuer', ...argsOf({ ...this.issuerFlags(), ...flags })];
    return closeAfter(t, await RunningProcess.start(programs.cli, args, { env }));
  }

  /** Starts a server that lets agents claim nothing but what their certificates say. */
  async startServer(
    t: Test,
  ): Promise<{ process: RunningProcess; port: number; uds: { path: string } }> {
    const path = this.path('server.sock');
    const args = argsOf({
      'uds-name': path,
      'cluster-cert': this.path('server.crt'),
      'cluster-key': this.path('server.key'),
      'cluster-ca-cert': this.path('issuer/ca.crt'),
      'agent-authorization': 'enforce',
      'proxy-strategies': 'destHost',
      'agent-port': '0',
      'agent-bind-address': loopback,
      'health-port': '0',
      'health-bind-address': loopback,
      'admin-port': '0',
    });
    const process = closeAfter(t, await RunningProcess.start(programs.server, args));
    const { port } = await process.waitForListener('agent');
    return { process, port, uds: { path } };
  }

  /** Starts an agent that may have to join first. */
  async startAgent(
    t: Test,
    flags: Flags,
    env: Readonly<Record<string, string>> = {},
  ): Promise<RunningProcess> {
    const args = argsOf({
      'identity-dir': this.path('identity'),
      'enrolment-ca-hash': this.caHash,
      'health-server-port': '0',
      'health-server-host': loopback,
      'admin-server-port': '0',
      'agent-identifiers': `ipv4=${loopback}`,
      ...flags,
    });
    return closeAfter(t, await RunningProcess.start(programs.agent, args, { env }));
  }

  /** Makes a token without a process. */
  async token(grant: Partial<AgentGrant> = {}, lifetimeMs = 600_000): Promise<Token> {
    const token = makeToken();
    const store = await FileTokenStore.open(this.path('tokens'), '--token-dir');
    const whole = { agentId: 'node-1', hosts: [], ips: [loopback], cidrs: [], defaultRoute: false };
    await store.add(recordOf(token, { ...whole, ...grant }, lifetimeMs));
    return token;
  }

  /** Asks an issuer for something, as no agent of ours would. */
  ask(port: number, path: string, options: AskOptions = {}): Promise<Answer> {
    const { body, method = body === undefined ? 'GET' : 'POST', ...tls } = options;
    const text = typeof body === 'object' ? JSON.stringify(body) : body;
    return new Promise((resolve, reject) => {
      const asked = request(
        { host: loopback, port, path, method, ca: this.root.certPem, agent: false, ...tls },
        (response) => {
          let answer = '';
          response.setEncoding('utf8').on('data', (chunk: string) => {
            answer += chunk;
          });
          response.once('end', () => {
            const isJson = response.headers['content-type'] === 'application/json';
            const fields = isJson ? (JSON.parse(answer) as object) : {};
            resolve({ status: response.statusCode ?? 0, text: answer, ...fields });
          });
        },
      );
      asked.once('error', reject);
      asked.end(text);
    });
  }
}

export interface AskOptions {
  readonly method?: string;
  /** An object is sent as JSON. */
  readonly body?: object | string;
  readonly cert?: string;
  readonly key?: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly certificate?: string;
  readonly code?: string;
  readonly error?: string;
}

/** A key, and a request for it as our agent makes it. */
export function newRequest(): { csr: string; privateKey: KeyObject; keyPem: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { csr: makeCertificateRequest(privateKey), privateKey, keyPem };
}

/** Runs `fairlead` to its end. */
export function runFairlead(
  ...argv: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [file = '', ...args] = commandOf(programs.cli);
  return new Promise((resolve) => {
    execFile(file, [...args, ...argv], { timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** Whether a certificate has a CA's rights, or any use but a TLS client's. */
export const isPlainClient = ({ ca, keyUsage }: X509Certificate): boolean =>
  !ca && keyUsage?.length === 1 && keyUsage[0] === '1.3.6.1.5.5.7.3.2';

function argsOf(flags: Flags): string[] {
  return Object.entries(flags).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}=${value}`],
  );
}
