import { generateKeyPair, type KeyObject, type X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { caHash, makeCertificateRequest } from '@fairlead/pki/enrollment';
import { Backoff } from '@fairlead/runtime/net';
import { type Logger, StartupError } from '@fairlead/runtime/process';
import { explainDates, readCertificateFile } from '@fairlead/runtime/tls';
import type { AgentMetrics } from '../admin/metrics.ts';
import { ConnectError } from '../connect/connect-error.ts';
import type { EgressProxies } from '../connect/proxy/egress-proxy.ts';
import type { AgentOptions } from '../options.ts';
import { type Identity, IdentityStore, parseCertificates } from './identity-store.ts';
import { IssuerClient, IssuerError } from './issuer-client.ts';
import { hasToken, readToken } from './read-token.ts';
import { expiryOf, lifetimeOf, RenewalClock } from './renewal-clock.ts';

interface AgentIdentityOptions {
  readonly options: AgentOptions;
  readonly logger: Logger;
  readonly metrics: AgentMetrics;
  readonly proxies: EgressProxies;
}

const newKeyPair = promisify(generateKeyPair);
const newKey = async () => (await newKeyPair('ec', { namedCurve: 'P-256' })).privateKey;
/** A larger difference of the clocks is logged. Certificates are valid from 5 minutes before their issue. */
const MAX_SKEW_MS = 60_000;

/** Gets the agent's certificate from the issuer, and renews it. */
export class AgentIdentity {
  readonly #options: AgentIdentityOptions;
  readonly #store: IdentityStore;
  readonly #stop = new AbortController();
  /** Set with --enrollment-server, which the options require with everything that needs the issuer. */
  readonly #issuer!: IssuerClient;
  #identity: Identity | undefined;

  private constructor(options: AgentIdentityOptions, store: IdentityStore) {
    this.#options = options;
    this.#store = store;
    const { enrollmentServer: endpoint, handshakeTimeout } = options.options;
    if (endpoint === undefined) return;
    this.#issuer = new IssuerClient({
      endpoint,
      timeoutMs: handshakeTimeout,
      proxy: options.proxies.for(endpoint),
      signal: this.#stop.signal,
      onClock: (aheadMs) => this.#reportClock(aheadMs),
    });
  }

  /**
   * Reads the certificate of an earlier start from --identity-dir.
   * @returns undefined without --identity-dir
   * @throws UsageError or StartupError for a directory or files that cannot be used
   */
  static async open(options: AgentIdentityOptions): Promise<AgentIdentity | undefined> {
    const { identityDir } = options.options;
    if (identityDir === undefined) return undefined;
    const store = await IdentityStore.open(identityDir, options.logger);
    const identity = new AgentIdentity(options, store);
    identity.#identity = await store.read();
    return identity;
  }

  /** Whether the agent has a certificate, valid or not. */
  get isPresent(): boolean {
    return this.#identity !== undefined;
  }

  get files(): IdentityStore['files'] {
    const { caCert } = this.#options.options;
    return caCert === undefined
      ? this.#store.files
      : { ...this.#store.files, ca: { flag: '--ca-cert', path: caCert } };
  }

  /** How long before its expiry a certificate that is still not renewed is a warning, in ms. */
  get warnMs(): number {
    return this.#identity ? lifetimeOf(this.#identity.certificate) / 4 : 0;
  }

  /**
   * Makes one attempt to join, if there is no certificate, or if it has expired and a token is given.
   * @returns false after a failure that can be temporary
   * @throws UsageError without a token; StartupError if the issuer cannot be trusted, or will never issue a
   *   certificate for this token
   */
  async join(): Promise<boolean> {
    const { options } = this.#options;
    if (this.#identity && (!this.#isExpired || !hasToken(options))) return true;
    try {
      await this.#enroll();
      return true;
    } catch (error) {
      // Servers may still accept an expired certificate: this machine's clock can be wrong.
      const hasCertificate = this.#identity !== undefined;
      if (!hasCertificate && error instanceof StartupError) throw error;
      this.#reportFailure('enrol', error);
      if (!hasCertificate && isFinal(error)) {
        throw new StartupError(`cannot join: ${(error as Error).message}`, { cause: error });
      }
      return hasCertificate;
    }
  }

  /**
   * Retries `join` until it succeeds.
   * @throws StartupError as `join` does
   * @returns false if it was closed before
   */
  async keepJoining(): Promise<boolean> {
    const { reconnectMin: minMs, reconnectMax: maxMs } = this.#options.options;
    const backoff = new Backoff({ minMs, maxMs });
    while (await backoff.wait(this.#stop.signal)) if (await this.join()) return true;
    return false;
  }

  /** Renews the certificate after most of its lifetime, again and again until `close`. */
  async keepRenewed(onRenewed: () => void): Promise<void> {
    const { options, logger } = this.#options;
    if (options.enrollmentServer === undefined) return;
    const clock = new RenewalClock(this.#stop.signal);
    while (await clock.untilDue(this.#identity!.certificate)) {
      const request = this.#isExpired ? 'enrol' : 'renew';
      try {
        await (request === 'enrol' ? this.#rejoin() : this.#renew());
        clock.onRenewed(this.#identity!.certificate);
        onRenewed();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#reportFailure(request, error);
        const retryMs = clock.onFailed(this.#identity!.certificate);
        logger.debug({ retryMs }, 'certificate renewal will be retried');
      }
    }
  }

  close(): void {
    this.#stop.abort();
  }

  get #isExpired(): boolean {
    return this.#identity !== undefined && expiryOf(this.#identity.certificate) < Date.now();
  }

  /** Gets a new certificate with a token: an issuer does not renew an expired certificate. */
  #rejoin(): Promise<void> {
    const { options } = this.#options;
    if (hasToken(options)) return this.#enroll();
    const { validFrom: from, validTo: to } = this.#identity!.certificate;
    const dates = explainDates({ from, to }, 'the clock of this machine');
    throw new IssuerError(
      `the certificate in ${this.#store.files.cert.path} ${dates}. If the clock is right, join again: give a token that fairlead token create printed, by --enrollment-token-file`,
      true,
    );
  }

  async #enroll(): Promise<void> {
    const { options } = this.#options;
    const token = readToken(options);
    const ca = await this.#trustedCa();
    await this.#obtain('enrol', (csr) => this.#issuer.enroll(ca, token, csr));
  }

  async #renew(): Promise<void> {
    const { certPem: cert, keyPem: key } = this.#identity!;
    const ca = (await this.#store.readCa()) ?? this.#configuredCa();
    const tls = { cert, key, ...(ca !== undefined && { ca }) };
    await this.#obtain('renew', (csr) => this.#issuer.renew(tls, csr));
  }

  /** The CA that the issuer is verified with: one with the configured hash, or that of --ca-cert. */
  async #trustedCa(): Promise<string | undefined> {
    const { enrollmentCaHash: hashes } = this.#options.options;
    if (hashes.length === 0) return this.#configuredCa();
    const shown = parseCertificates(await this.#issuer.fetchCa()) ?? [];
    const known = shown.filter((certificate) => hashes.includes(caHash(certificate)));
    if (known.length === 0) {
      const seen = shown.map(caHash).join(', ') || 'none';
      throw new IssuerError(
        `${this.#issuer.name} shows another CA than --enrollment-ca-hash names (it shows ${seen}). The agent sent no secret. Check that no proxy intercepts the connection, and whether the CA was replaced`,
        true,
      );
    }
    const pem = known.join('');
    await this.#store.writeCa(pem);
    return pem;
  }

  #configuredCa(): string | undefined {
    const { caCert } = this.#options.options;
    return caCert === undefined
      ? undefined
      : readCertificateFile({ flag: '--ca-cert', path: caCert }).pem;
  }

  async #obtain(request: 'enrol' | 'renew', ask: (csr: string) => Promise<string>): Promise<void> {
    const privateKey = await (request === 'enrol' ? this.#enrollmentKey() : newKey());
    const certPem = await ask(makeCertificateRequest(privateKey));
    const [certificate] = parseCertificates(certPem) ?? [];
    if (!certificate?.checkPrivateKey(privateKey)) {
      throw new IssuerError(`${this.#issuer.name} sent a certificate for another key`, false);
    }
    const keyPem = pemOf(privateKey);
    await this.#store.write({ certPem, keyPem });
    this.#identity = { certificate, certPem, keyPem };
    this.#options.metrics.onCertificateRequest(request, true);
    this.#reportSuccess(request, certificate);
  }

  /**
   * The same key until it has a certificate, also after a restart. If the issuer redeemed the token and its
   * answer was lost, it issues the certificate again for the same key only.
   */
  async #enrollmentKey(): Promise<KeyObject> {
    const earlier = await this.#store.readNewKey();
    if (earlier) return earlier;
    const key = await newKey();
    await this.#store.writeNewKey(pemOf(key));
    return key;
  }

  #reportClock(aheadMs: number): void {
    if (Math.abs(aheadMs) <= MAX_SKEW_MS) return;
    const seconds = Math.round(Math.abs(aheadMs) / 1000);
    const direction = aheadMs > 0 ? 'behind' : 'ahead of';
    const now = Date.now();
    this.#options.logger.warn(
      { seconds, clock: new Date(now), issuerClock: new Date(now + aheadMs) },
      `the clock of this machine is ${direction} the issuer's. Set it: certificates can look expired or not valid yet`,
    );
  }

  #reportSuccess(request: 'enrol' | 'renew', certificate: X509Certificate): void {
    const { subject, subjectAltName: names, validFrom: from, validTo: to } = certificate;
    const notAfter = new Date(to);
    const what = request === 'enrol' ? 'joined' : 'certificate renewed';
    this.#options.logger.info({ subject, names, notAfter }, what);
    const detail = explainDates({ from, to }, 'the clock of this machine');
    if (detail !== undefined) {
      const text =
        'the new certificate is not valid now. Set the clock of the issuer or of this machine';
      this.#options.logger.warn({ detail }, text);
    }
  }

  #reportFailure(request: 'enrol' | 'renew', error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#options.metrics.onCertificateRequest(request, false);
    const { message: detail } = error as Error;
    const what = request === 'enrol' ? 'cannot join' : 'cannot renew the certificate';
    this.#options.logger.warn({ detail, isFinal: isFinal(error) }, what);
  }
}

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** Whether a retry would fail in the same way. */
function isFinal(error: unknown): boolean {
  if (error instanceof IssuerError) return error.isFinal;
  if (error instanceof ConnectError) return error.reason === 'server_certificate';
  return error instanceof StartupError;
}
