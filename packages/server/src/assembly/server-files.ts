import { FileReloader, type Logger } from '@fairlead/runtime/process';
import {
  AgentDenyList,
  CertificateExpiry,
  namedFile,
  subjectOf,
  type TlsFiles,
} from '@fairlead/runtime/tls';
import type { Registry } from 'prom-client';
import type { AgentPeer } from '../agents/agent-peer.ts';
import { readTicketSecret } from '../agents/session-ticket-keys.ts';
import { FrontEndPolicy } from '../front-end/front-end-policy.ts';
import { certificateOf, loadPortTls } from '../listeners/tls.ts';
import type { ServerOptions } from '../options.ts';
import type { AgentSide } from './agent-side.ts';
import type { FrontEndSide } from './front-end-side.ts';

/** The contents of the server's files. If a changed file is invalid, the old content stays in use. */
export class ServerFiles {
  agentTls: TlsFiles;
  /** Undefined if the front end does not listen on TCP. */
  frontEndTls: TlsFiles | undefined;
  policy: FrontEndPolicy | undefined;
  readonly #options: ServerOptions;
  readonly #logger: Logger;
  readonly #ticketSecret: Uint8Array | undefined;
  readonly #expiry: CertificateExpiry;
  readonly #reloader: FileReloader;
  #denyList: AgentDenyList | undefined;

  /**
   * Reads all files.
   * @param ticketSecret what the workers of a server share for their TLS session tickets
   * @throws UsageError that names flag, file and cure
   */
  constructor(
    options: ServerOptions,
    logger: Logger,
    registry: Registry,
    ticketSecret: Uint8Array | undefined,
  ) {
    this.#options = options;
    this.#logger = logger;
    this.#ticketSecret = ticketSecret;
    this.agentTls = this.#loadAgentTls();
    this.frontEndTls = this.#loadFrontEndTls();
    this.#readPolicy();
    this.#warnOfSharedCa();
    this.#readDenyList();
    const shared = { logger, registry, metricPrefix: 'fairlead_server_' };
    this.#expiry = new CertificateExpiry(shared);
    this.#reloader = new FileReloader({ ...shared, intervalMs: options.reloadInterval });
  }

  /** The deny-list entry of a peer, as a reason to refuse it. */
  readonly whyDenied = (peer: AgentPeer): string | undefined => {
    const entry = this.#denyList?.entryFor(peer);
    return entry === undefined ? undefined : `--agent-denylist has ${entry}`;
  };

  /** Starts to watch the files. A reload that cannot read its files throws before it changes anything. */
  watch({ listener, peers, connections }: AgentSide, frontEnd: FrontEndSide): void {
    const options = this.#options;
    this.#expiry.update([...this.agentTls.expiries, ...(this.frontEndTls?.expiries ?? [])]);
    const { clusterCert, clusterKey, clusterCaCert, tlsTicketKeyFile } = options;
    const agentPortFiles = [clusterCert, clusterKey, clusterCaCert, tlsTicketKeyFile];
    this.#watch('agent-port certificates', agentPortFiles, () => {
      const tls = this.#loadAgentTls();
      listener.setSecureContext(tls.context);
      this.agentTls = tls;
      this.#warnOfSharedCa();
      this.#expiry.update(tls.expiries);
    });
    const { serverCert, serverKey, serverCaCert } = options;
    this.#watch('front-end certificates', [serverCert, serverKey, serverCaCert], () => {
      const tls = this.#loadFrontEndTls();
      if (!tls) return;
      frontEnd.setSecureContext(tls.context);
      this.frontEndTls = tls;
      this.#warnOfSharedCa();
      this.#expiry.update(tls.expiries);
    });
    this.#watch('front-end policy', [options.frontendPolicy], () => this.#readPolicy());
    this.#watch('peers', [options.peersFile], () => peers.read());
    this.#watch('agent deny list', [options.agentDenylist], () => {
      try {
        this.#readDenyList();
      } finally {
        // Also after a bad line: the others are in force.
        connections.closeDenied();
      }
    });
  }

  /** Looks for changes now. */
  check(): void {
    this.#reloader.check();
  }

  close(): void {
    this.#reloader.close();
    this.#expiry.close();
  }

  #watch(name: string, paths: readonly (string | undefined)[], reload: () => void): void {
    const given = paths.filter((path) => path !== undefined);
    if (given.length > 0) this.#reloader.add({ name, paths: given, reload });
  }

  #loadAgentTls(): TlsFiles {
    const { clusterCert, clusterKey, clusterCaCert, tlsTicketKeyFile } = this.#options;
    const identity = certificateOf('cluster', clusterCert, clusterKey);
    const ca = namedFile('--cluster-ca-cert', clusterCaCert);
    const keyFile = namedFile('--tls-ticket-key-file', tlsTicketKeyFile);
    const secret = () => (keyFile ? readTicketSecret(keyFile) : this.#ticketSecret);
    const spec = { identity, ca, inUse: this.agentTls };
    return this.#warned(loadPortTls(this.#options, 'agent port', spec, secret));
  }

  #loadFrontEndTls(): TlsFiles | undefined {
    const { serverCert, serverKey, serverCaCert } = this.#options;
    const identity = certificateOf('server', serverCert, serverKey);
    if (!identity) return undefined;
    const spec = {
      identity,
      ca: namedFile('--server-ca-cert', serverCaCert),
      inUse: this.frontEndTls,
    };
    return this.#warned(loadPortTls(this.#options, 'front end', spec, () => this.#ticketSecret));
  }

  #warned(tls: TlsFiles): TlsFiles {
    for (const warning of tls.warnings) this.#logger.warn(warning);
    return tls;
  }

  /** A front end without a policy lets every certificate of its CA reach every target. */
  #warnOfSharedCa(): void {
    const caOf = (tls: TlsFiles | undefined) =>
      (tls?.certificates ?? [])
        .filter(({ role }) => role === 'ca')
        .flatMap(({ certificates }) => certificates);
    const agentCas = new Set(caOf(this.agentTls).map(({ fingerprint256 }) => fingerprint256));
    const shared = caOf(this.frontEndTls).find((ca) => agentCas.has(ca.fingerprint256));
    if (shared === undefined || this.policy !== undefined) return;
    this.#logger.warn(
      { subject: subjectOf(shared) },
      "--server-ca-cert and --cluster-ca-cert contain the same CA: every agent's certificate is valid as a client's, for every target. Use two CAs, or list the clients in --frontend-policy",
    );
  }

  #readPolicy(): void {
    const { frontendPolicy: path } = this.#options;
    if (path !== undefined) this.policy = FrontEndPolicy.read({ flag: '--frontend-policy', path });
  }

  #readDenyList(): void {
    const { agentDenylist: path } = this.#options;
    if (path === undefined) return;
    const file = { flag: '--agent-denylist', path };
    const { list, fault } = AgentDenyList.read(file, this.#denyList);
    this.#denyList = list;
    if (fault) throw fault;
  }
}
