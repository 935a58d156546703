import { createHash, type KeyObject, timingSafeEqual, type X509Certificate } from 'node:crypto';
import type { Logger } from '@fairlead/runtime/process';
import { type CertificateIdentity, identityOf } from '@fairlead/runtime/tls';
import { hashOfToken, parseToken } from '../../enrollment/index.ts';
import {
  type Authority,
  agentConstraintUris,
  certifyKey,
  PkiError,
  publicKeyOfRequest,
  recertifyKey,
  type SignedCertificate,
} from '../../index.ts';
import {
  type AgentGrant,
  isExpired,
  type StoredToken,
  type TokenRecord,
  type TokenStore,
} from '../tokens/token-store.ts';
import { Refusal } from './refusal.ts';

export interface EnrollmentsOptions {
  readonly store: TokenStore;
  /** Asked for each certificate: the files may have been reloaded. */
  authority(): Authority;
  /** The entry of the deny list that is about a certificate, or about one that is still to be made. */
  denyEntry(
    commonName: string | undefined,
    certificate: Partial<CertificateIdentity>,
  ): string | undefined;
  readonly lifetimeMs: number;
  readonly logger: Logger;
  onIssued(request: 'enrol' | 'renew'): void;
}

/** Who asks, as far as TLS knows. */
export interface RenewingPeer {
  /** For logs: `host:port`. */
  readonly address: string;
  readonly commonName: string | undefined;
  /** Verified, and within its time. */
  readonly certificate: X509Certificate;
}

/**
 * Decides who gets which certificate. What a certificate says comes from the token, or from the
 * certificate that it replaces; the request only brings the key.
 */
export class Enrollments {
  readonly #options: EnrollmentsOptions;

  constructor(options: EnrollmentsOptions) {
    this.#options = options;
  }

  /**
   * Redeems a token for a certificate, in PEM with its chain. An agent that did not get the answer may ask
   * again with the same key for as long as the token lives.
   * @throws Refusal
   */
  async redeem(tokenText: string, csr: string, address: string): Promise<string> {
    const { record } = await this.#findToken(tokenText);
    const enrollment = record.id;
    if (isExpired(record)) {
      const now = new Date().toISOString();
      throw new Refusal(
        'token_expired',
        `the token expired at ${record.expiresAt}, and the issuer's clock says ${now}`,
        { enrollment },
      );
    }
    this.#refuseDenied(record.agentId, { enrollment });
    const publicKey = this.#keyOf(csr, enrollment);
    const keyHash = hashOfKey(publicKey);
    // From here on the token is spent, whatever happens: a certificate too few is better than one too many.
    const claimedAt = new Date().toISOString();
    const claim = await this.#options.store.claim(enrollment, { keyHash, claimedAt, address });
    if (claim === undefined) throw new Refusal('token_unknown', 'there is no such token');
    if (claim.keyHash !== keyHash) {
      throw new Refusal(
        'token_used',
        `the token was redeemed at ${claim.claimedAt} from ${claim.address}; if that was not you, deny enrollment:${enrollment}`,
        { enrollment },
      );
    }
    const issued = this.#sign(enrollment, (authority) =>
      certifyKey(authority, publicKey, {
        kind: 'agent',
        name: record.agentId,
        hosts: record.hosts,
        ips: record.ips,
        uris: uriNamesOf(record, enrollment),
        lifetimeMs: this.#options.lifetimeMs,
      }),
    );
    this.#tell('enrol', issued, { address });
    return issued.certPem;
  }

  /**
   * A new certificate for an agent that came by a token, with the names of its present one.
   * @throws Refusal
   */
  renew(peer: RenewingPeer, csr: string): string {
    const { certificate, commonName, address } = peer;
    const identity = identityOf(certificate);
    const { enrollment } = identity;
    this.#refuseDenied(commonName, identity);
    if (enrollment === undefined) {
      throw new Refusal(
        'certificate_refused',
        'the certificate was not made for a token; only such certificates are renewed here',
      );
    }
    const publicKey = this.#keyOf(csr, enrollment);
    const { lifetimeMs } = this.#options;
    const issued = this.#sign(enrollment, (authority) =>
      recertifyKey(authority, publicKey, certificate, lifetimeMs),
    );
    this.#tell('renew', issued, { address, replaces: identity.serialNumber });
    return issued.certPem;
  }

  #refuseDenied(commonName: string | undefined, identity: Partial<CertificateIdentity>): void {
    const denied = this.#options.denyEntry(commonName, identity);
    if (denied === undefined) return;
    const { enrollment } = identity;
    throw new Refusal('certificate_refused', `--agent-denylist has ${denied}`, { enrollment });
  }

  /** To a stranger every token that is not one is the same. */
  async #findToken(text: string): Promise<StoredToken> {
    const token = parseToken(text);
    const stored = token && (await this.#options.store.get(token.id));
    if (!token || !stored || !isSame(stored.record.hash, hashOfToken(token))) {
      throw new Refusal('token_unknown', 'there is no such token');
    }
    return stored;
  }

  #keyOf(csr: string, enrollment: string): KeyObject {
    try {
      return publicKeyOfRequest(csr);
    } catch (error) {
      if (!(error instanceof PkiError)) throw error;
      throw new Refusal('bad_request', error.message, { enrollment });
    }
  }

  #sign(enrollment: string, work: (authority: Authority) => SignedCertificate): SignedCertificate {
    try {
      return work(this.#options.authority());
    } catch (error) {
      if (!(error instanceof PkiError)) throw error;
      throw new Refusal('unavailable', `the issuer cannot sign: ${error.message}`, { enrollment });
    }
  }

  /** One line for each certificate that there is. */
  #tell(
    request: 'enrol' | 'renew',
    { certificate, notAfter }: SignedCertificate,
    from: { readonly address: string; readonly replaces?: string },
  ): void {
    const { serialNumber, fingerprint, enrollment } = identityOf(certificate);
    const { subject, subjectAltName: names } = certificate;
    this.#options.logger.info(
      {
        request,
        enrolment: enrollment,
        subject,
        names,
        serialNumber,
        fingerprint,
        notAfter,
        ...from,
      },
      'certificate issued',
    );
    this.#options.onIssued(request);
  }
}

/** The URI names of a certificate: what the agent may claim, and the token that it came by. */
export function uriNamesOf({ cidrs, defaultRoute }: AgentGrant, enrollment: string): string[] {
  return [...agentConstraintUris({ cidrs, defaultRoute }), `fairlead:enrolment=${enrollment}`];
}

function hashOfKey(publicKey: KeyObject): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex');
}

/** In constant time; both are SHA-256. */
function isSame(expected: TokenRecord['hash'], given: string): boolean {
  const [a, b] = [Buffer.from(expected, 'hex'), Buffer.from(given, 'hex')];
  return a.length === b.length && timingSafeEqual(a, b);
}
