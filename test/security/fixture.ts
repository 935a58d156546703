/** Servers and agents in this process, with certificates made for the test at hand. */
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAgent, type FairleadAgent } from '@fairlead/agent';
import type { AgentOptions } from '@fairlead/agent/options';
import {
  type Authority,
  agentConstraintUris,
  createAuthority,
  type IssueOptions,
  issueCertificate,
  pemPair,
  writePemFiles,
} from '@fairlead/pki';
import { createLogger, type Logger } from '@fairlead/runtime';
import { createServer, type FairleadServer } from '@fairlead/server';
import type { ServerOptions } from '@fairlead/server/options';
import { type ClientTls, pickPort } from '@fairlead/testkit';
import type { Test } from 'tap';

export const loopback = '127.0.0.1';

/** Every transport of our own agents. */
export const transports = ['tls', 'websocket', 'http2'] as const;

/** A certificate and its key in files. */
export interface Credentials {
  readonly cert: string;
  readonly key: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/** What a certificate is for; the name is its file's, too. */
export interface Wanted extends Omit<IssueOptions, 'kind' | 'uris'> {
  readonly cidrs?: readonly string[];
  readonly defaultRoute?: boolean;
  /** Written as they are, in the place of `cidrs` and `defaultRoute`. */
  readonly uris?: readonly string[];
}

/** Two authorities in a directory of their own, as `fairlead pki init` makes them. */
export class Pki {
  readonly directory: string;
  readonly agentCa: Authority;
  readonly frontEndCa: Authority;

  private constructor(directory: string, agentCa: Authority, frontEndCa: Authority) {
    this.directory = directory;
    this.agentCa = agentCa;
    this.frontEndCa = frontEndCa;
  }

  static async make(): Promise<Pki> {
    const directory = mkdtempSync(join(tmpdir(), 'fairlead-'));
    process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
    const [agentCa, frontEndCa] = await Promise.all([
      createAuthority({ name: 'agent CA' }),
      createAuthority({ name: 'front-end CA' }),
    ]);
    const pki = new Pki(directory, agentCa, frontEndCa);
    await writeFile(pki.path('agent-ca.crt'), agentCa.certPem);
    await writeFile(pki.path('frontend-ca.crt'), frontEndCa.certPem);
    return pki;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Writes a file into the directory; its path. */
  async file(name: string, text: string): Promise<string> {
    await writeFile(this.path(name), text);
    return this.path(name);
  }

  agent({ cidrs, defaultRoute, uris, ...wanted }: Wanted): Promise<Credentials> {
    const constraints = agentConstraintUris({
      ...(cidrs && { cidrs }),
      ...(defaultRoute !== undefined && { defaultRoute }),
    });
    return this.issue(this.agentCa, { ...wanted, kind: 'agent', uris: uris ?? constraints });
  }

  client(wanted: Omit<IssueOptions, 'kind'>): Promise<Credentials> {
    return this.issue(this.frontEndCa, { ...wanted, kind: 'client' });
  }

  server(authority: Authority, name: string): Promise<Credentials> {
    return this.issue(authority, {
      kind: 'server',
      name,
      hosts: ['localhost'],
      ips: [loopback, '::1'],
    });
  }

  async issue(authority: Authority, options: IssueOptions): Promise<Credentials> {
    const issued = await issueCertificate(authority, options);
    const files = pemPair(this.directory, options.name, issued);
    await writePemFiles(files, { force: true });
    const [cert = '', key = ''] = files.map(({ path }) => path);
    return { cert, key, certPem: issued.certPem, keyPem: issued.keyPem };
  }
}

let shared: Promise<Pki> | undefined;

/** The authorities of this test file. */
export function testPki(): Promise<Pki> {
  shared ??= Pki.make();
  return shared;
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A log that a test can wait on. */
export class TestLog {
  readonly lines: LogLine[] = [];
  /** What was written, as it was. */
  readonly written: string[] = [];
  readonly logger: Logger;
  readonly #checks = new Set<() => void>();

  constructor() {
    this.logger = createLogger('debug', {
      write: (text: string) => {
        this.written.push(text);
        this.lines.push(JSON.parse(text) as LogLine);
        for (const check of [...this.#checks]) check();
      },
    });
  }

  /** Resolves with the first line, past or future, that has the text and passes. */
  until(msg: string, accepts: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return new Promise((resolve) => {
      const check = () => {
        const found = this.lines.find((line) => line.msg === msg && accepts(line));
        if (!found) return;
        this.#checks.delete(check);
        resolve(found);
      };
      this.#checks.add(check);
      check();
    });
  }

  of(msg: string): LogLine[] {
    return this.lines.filter((line) => line.msg === msg);
  }
}

export interface TestServer {
  readonly server: FairleadServer;
  readonly log: TestLog;
  readonly uds: { readonly path: string };
  /** The front end over TCP, for the client `client`. */
  readonly tcp: { readonly host: string; readonly port: number; readonly tls: ClientTls };
  readonly adminUrl: URL;
  /** The value of a metric without labels or with exactly these. */
  metric(name: string, labels?: string): Promise<number>;
}

let servers = 0;

/** A server on a Unix domain socket and TCP, all ports ephemeral; gone at the end of the test. */
export async function startServer(
  t: Test,
  options: Partial<ServerOptions> = {},
): Promise<TestServer> {
  const pki = await testPki();
  const name = `s${servers++}`;
  const agentPort = await pki.server(pki.agentCa, `${name}-agent-port`);
  const frontEnd = await pki.server(pki.frontEndCa, `${name}-front-end`);
  const client = await pki.client({ name: 'client', organizations: ['tests'] });
  const log = new TestLog();
  const path = pki.path(`${name}.sock`);
  const port = await pickPort();
  const server = await createServer(
    {
      udsName: path,
      serverPort: port,
      serverBindAddress: loopback,
      serverCert: frontEnd.cert,
      serverKey: frontEnd.key,
      serverCaCert: pki.path('frontend-ca.crt'),
      clusterCert: agentPort.cert,
      clusterKey: agentPort.key,
      clusterCaCert: pki.path('agent-ca.crt'),
      agentPort: 0,
      agentBindAddress: loopback,
      healthPort: 0,
      healthBindAddress: loopback,
      adminPort: 0,
      ...options,
    },
    log.logger,
  );
  t.teardown(() => server.close());
  const adminUrl = new URL(`http://${loopback}:${server.addresses.admin.port}`);
  return {
    server,
    log,
    uds: { path },
    tcp: { host: loopback, port, tls: tlsOf(pki, client) },
    adminUrl,
    metric: async (metric, labels = '') => {
      const text = await (await fetch(new URL('/metrics', adminUrl))).text();
      const row = text.split('\n').find((line) => line.startsWith(`${metric}${labels} `));
      return row === undefined ? 0 : Number(row.slice(row.lastIndexOf(' ')));
    },
  };
}

/** TLS of a client of the front end. */
export function tlsOf(pki: Pki, { certPem, keyPem }: Credentials): ClientTls {
  return { ca: pki.frontEndCa.certPem, cert: certPem, key: keyPem };
}

export interface TestAgent {
  readonly agent: FairleadAgent;
  readonly log: TestLog;
}

/** An agent that dials the server; gone at the end of the test. */
export async function startAgent(
  t: Test,
  { server }: TestServer,
  { cert, key }: Credentials,
  options: Partial<AgentOptions> = {},
  lookup?: Parameters<typeof createAgent>[3],
): Promise<TestAgent> {
  const pki = await testPki();
  const log = new TestLog();
  const agent = await createAgent(
    {
      proxyServerHost: [loopback],
      proxyServerPort: server.addresses.agent.port,
      caCert: pki.path('agent-ca.crt'),
      agentCert: cert,
      agentKey: key,
      agentId: 'node-1',
      healthServerPort: 0,
      healthServerHost: loopback,
      adminServerPort: 0,
      reconnectMin: 50,
      reconnectMax: 100,
      ...options,
    },
    log.logger,
    {},
    lookup,
  );
  t.teardown(() => agent.close());
  return { agent, log };
}
