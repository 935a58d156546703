/** An issuer, tokens and agents that join, in this process or as processes. */
import { generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentOptions } from '@fairlead/agent/options';
import {
  type Authority,
  certificateFile,
  createAuthority,
  createIssuingAuthority,
  type IssuedCertificate,
  issueCertificate,
  pemPair,
  writePemFiles,
} from '@fairlead/pki';
import { caHash, makeCertificateRequest, makeToken, type Token } from '@fairlead/pki/enrollment';
import {
  type AgentGrant,
  createIssuer,
  type FairleadIssuer,
  FileTokenStore,
  type IssuerOptions,
  recordOf,
} from '@fairlead/pki/issuer';
import { createLogger } from '@fairlead/runtime/process';
import { closeAfter, LogWatch, programs, RunningProcess } from '@fairlead/testkit';
import type { Test } from 'tap';
import { type Finished, runCommand } from '../../packages/cli/test/run-fairlead.ts';
import {
  loopback,
  startAgent,
  startServer,
  type TestAgent,
  type TestServer,
} from '../support/fleet.ts';

const dayMs = 86_400_000;

/** The server port of an agent that only joins. */
const unusedPort = 1;

/** Flags by name. A flag that is undefined is omitted. */
type Flags = Readonly<Record<string, string | undefined>>;
type Environment = Readonly<Record<string, string>>;

export interface TestIssuer {
  readonly issuer: FairleadIssuer;
  readonly log: LogWatch;
  readonly port: number;
  readonly healthPort: number;
}

/** An installation whose agents get their certificates from an issuer. The key of the root CA is in no file. */
export class Installation {
  readonly directory: string;
  readonly root: Authority;
  /** The intermediate CA of the issuer, with its key. */
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
    // The same as `writeIssuerPki`, but a day old, so that it can sign certificates that are a day old.
    const now = new Date(Date.now() - dayMs);
    const root = await createAuthority({ name: 'agent CA', now });
    const issuer = await createIssuingAuthority(root, { name: 'issuer', now });
    const ips = [loopback];
    const [ofIssuer, ofServer] = await Promise.all([
      issueCertificate(root, { kind: 'server', name: 'i', hosts: ['localhost'], ips }),
      issueCertificate(root, { kind: 'server', name: 's', ips }),
    ]);
    const { chainPem: certPem, keyPem } = issuer;
    await writePemFiles([
      certificateFile(join(directory, 'issuer'), 'ca', root.certPem),
      ...pemPair(join(directory, 'issuer'), 'issuer', { certPem, keyPem }),
      ...pemPair(join(directory, 'issuer'), 'server', ofIssuer),
      ...pemPair(directory, 'server', ofServer),
    ]);
    return new Installation(directory, root, issuer);
  }

  path(...names: string[]): string {
    return join(this.directory, ...names);
  }

  /** Writes a file into the directory and returns its path. */
  async file(name: string, text: string): Promise<string> {
    await writeFile(this.path(name), text);
    return this.path(name);
  }

  get caHash(): string {
    return caHash(this.root.certificate);
  }

  /** Starts an issuer in this process and closes it after the test. */
  async startIssuer(t: Test, options: Partial<IssuerOptions> = {}): Promise<TestIssuer> {
    const log = new LogWatch();
    const issuer = await createIssuer(
      {
        serverCert: this.path('issuer/server.crt'),
        serverKey: this.path('issuer/server.key'),
        caCert: this.path('issuer/ca.crt'),
        issuerCert: this.path('issuer/issuer.crt'),
        issuerKey: this.path('issuer/issuer.key'),
        tokenDir: this.path('tokens'),
        enrollmentPort: 0,
        enrollmentBindAddress: loopback,
        healthPort: 0,
        healthBindAddress: loopback,
        ...options,
      },
      createLogger('debug', log),
    );
    t.teardown(() => issuer.close());
    const { enrollment, health } = issuer.addresses;
    return { issuer, log, port: enrollment.port, healthPort: health.port };
  }

  /** Starts a server that enforces the claims in certificates. */
  startServer(t: Test): Promise<TestServer> {
    return startServer(t, {
      clusterCert: this.path('server.crt'),
      clusterKey: this.path('server.key'),
      clusterCaCert: this.path('issuer/ca.crt'),
      agentAuthorization: 'enforce',
      proxyStrategies: ['destHost'],
    });
  }

  /**
   * Starts an agent in this process, which joins if it has no certificate, and closes it after the test.
   *
   * @throws UsageError or StartupError if the agent can never join; the error is not logged
   */
  startAgent(t: Test, options: Partial<AgentOptions>, log = new LogWatch()): Promise<TestAgent> {
    const port = options.proxyServerPort ?? unusedPort;
    return startAgent(
      t,
      port,
      {
        ...{ caCert: undefined, agentCert: undefined, agentKey: undefined },
        identityDir: this.path('identity'),
        enrollmentCaHash: [this.caHash],
        agentIdentifiers: `ipv4=${loopback}`,
        ...options,
      },
      undefined,
      log,
    );
  }

  /** Starts `fairlead issuer` as a process and waits until it listens. */
  async startIssuerProcess(
    t: Test,
    flags: Flags = {},
    env: Environment = {},
  ): Promise<{ process: RunningProcess; port: number }> {
    const args = argsOf({
      'server-cert': this.path('issuer/server.crt'),
      'server-key': this.path('issuer/server.key'),
      'ca-cert': this.path('issuer/ca.crt'),
      'issuer-cert': this.path('issuer/issuer.crt'),
      'issuer-key': this.path('issuer/issuer.key'),
      'token-dir': this.path('tokens'),
      'enrollment-port': '0',
      'enrollment-bind-address': loopback,
      'health-port': '0',
      'health-bind-address': loopback,
      ...flags,
    });
    const started = await RunningProcess.start(programs.cli, ['issuer', ...args], { env });
    const process = closeAfter(t, started);
    const { port } = await process.waitForListener('enrolment');
    return { process, port };
  }

  /** Starts `fairlead-agent` as a process. */
  async startAgentProcess(t: Test, flags: Flags, env: Environment = {}): Promise<RunningProcess> {
    const args = argsOf({
      'identity-dir': this.path('identity'),
      'enrollment-ca-hash': this.caHash,
      'health-server-port': '0',
      'health-server-host': loopback,
      'admin-server-port': '0',
      'agent-identifiers': `ipv4=${loopback}`,
      ...flags,
    });
    return closeAfter(t, await RunningProcess.start(programs.agent, args, { env }));
  }

  /**
   * Writes a certificate into the identity directory, as if the agent node-1 had joined with this token.
   *
   * @param ageMs how long ago it joined
   */
  async leaveIdentity(
    { id }: Token,
    ageMs: number,
    lifetimeMs: number,
  ): Promise<IssuedCertificate> {
    const issued = await issueCertificate(this.issuer, {
      kind: 'agent',
      name: 'node-1',
      ips: [loopback],
      uris: [`fairlead:enrolment=${id}`],
      now: new Date(Date.now() - ageMs),
      lifetimeMs,
    });
    await mkdir(this.path('identity'), { mode: 0o700 });
    await writeFile(this.path('identity/agent.pem'), issued.keyPem + issued.certPem, {
      mode: 0o600,
    });
    await this.file('identity/ca.crt', this.root.certPem);
    return issued;
  }

  /** Adds a token to the token store. */
  async token(grant: Partial<AgentGrant> = {}, lifetimeMs = 600_000): Promise<Token> {
    const token = makeToken();
    const store = await FileTokenStore.open(this.path('tokens'), () => {});
    const whole = { agentId: 'node-1', hosts: [], ips: [loopback], cidrs: [], defaultRoute: false };
    await store.add(recordOf(token, { ...whole, ...grant }, lifetimeMs));
    return token;
  }

  /** Sends any request to an issuer. */
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

/** A new key and a certificate request for it, as an agent creates it. */
export function newRequest(): { csr: string; privateKey: KeyObject; keyPem: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { csr: makeCertificateRequest(privateKey), privateKey, keyPem };
}

/** Runs a command of `fairlead` in this process. */
export const runFairlead = (...argv: string[]): Promise<Finished> => runCommand(argv);

/** Whether a certificate is for TLS clients only and is not a CA. */
export const isPlainClient = ({ ca, keyUsage }: X509Certificate): boolean =>
  !ca && keyUsage?.length === 1 && keyUsage[0] === '1.3.6.1.5.5.7.3.2';

function argsOf(flags: Flags): string[] {
  return Object.entries(flags).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}=${value}`],
  );
}
