/** Certificates of a test file, and agents that use them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { AgentOptions } from '@fairlead/agent/options';
import {
  type Authority,
  agentConstraintUris,
  type IssueOptions,
  issueCertificate,
  loadAuthority,
  pemPair,
  writePemFiles,
} from '@fairlead/pki';
import { type ClientTls, sharedTestPki } from '@fairlead/testkit';
import type { Test } from 'tap';
import {
  loopback,
  startAgent as startFleetAgent,
  type TestAgent,
  type TestServer,
} from '../support/fleet.ts';

/** The transports of Fairlead's agents. */
export const transports = ['tls', 'websocket', 'http2'] as const;

/** A certificate and its key, as files and as PEM. */
export interface Credentials {
  readonly cert: string;
  readonly key: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/** The content of an agent's certificate. Its file has the same name. */
export interface AgentCertificate extends Omit<IssueOptions, 'kind' | 'uris'> {
  readonly cidrs?: readonly string[];
  readonly defaultRoute?: boolean;
  /** Raw URIs, instead of `cidrs` and `defaultRoute`. */
  readonly uris?: readonly string[];
}

/** Issues certificates of the shared CAs into a directory of this test file. */
export class Pki {
  readonly directory: string;
  readonly agentCa: Authority;
  readonly agentCaFile: string;
  readonly frontEndCa: Authority;

  private constructor(agentCa: Authority, agentCaFile: string, frontEndCa: Authority) {
    this.directory = mkdtempSync(join(tmpdir(), 'fairlead-'));
    process.on('exit', () => rmSync(this.directory, { recursive: true, force: true }));
    this.agentCa = agentCa;
    this.agentCaFile = agentCaFile;
    this.frontEndCa = frontEndCa;
  }

  static async make(): Promise<Pki> {
    const { agent, frontend } = await sharedTestPki();
    const [agentCa, frontEndCa] = await Promise.all(
      [agent, frontend].map(({ caFile }) => loadAuthority(dirname(caFile))),
    );
    return new Pki(agentCa!, agent.caFile, frontEndCa!);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Writes a file into the directory and returns its path. */
  async file(name: string, text: string): Promise<string> {
    await writeFile(this.path(name), text);
    return this.path(name);
  }

  agent({ cidrs, defaultRoute, uris, ...options }: AgentCertificate): Promise<Credentials> {
    const constraints = agentConstraintUris({
      ...(cidrs && { cidrs }),
      ...(defaultRoute !== undefined && { defaultRoute }),
    });
    return this.issue(this.agentCa, { ...options, kind: 'agent', uris: uris ?? constraints });
  }

  client(options: Omit<IssueOptions, 'kind'>): Promise<Credentials> {
    return this.issue(this.frontEndCa, { ...options, kind: 'client' });
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

/** The certificates of this test file. */
export function testPki(): Promise<Pki> {
  shared ??= Pki.make();
  return shared;
}

/** TLS options of a front-end client. */
export function tlsOf(pki: Pki, { certPem, keyPem }: Credentials): ClientTls {
  return { ca: pki.frontEndCa.certPem, cert: certPem, key: keyPem };
}

/** Starts an agent that connects to the server, and closes it after the test. */
export async function startAgent(
  t: Test,
  server: TestServer,
  { cert, key }: Credentials,
  options: Partial<AgentOptions> = {},
  lookup?: Parameters<typeof startFleetAgent>[3],
): Promise<TestAgent> {
  const own = { agentId: 'node-1', agentCert: cert, agentKey: key, reconnectMax: 100 };
  return startFleetAgent(t, server, { ...own, ...options }, lookup);
}
