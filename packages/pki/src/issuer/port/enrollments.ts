import { type KeyObject, timingSafeEqual, type X509Certificate } from 'node:crypto';
import type { Logger } from '@fairlead/runtime/process';
import { type CertificateIdentity, identityOf } from '@fairlead/runtime/tls';
import type { Authority } from '../../authority.ts';
import { hashOfToken, parseToken } from '../../enrollment/index.ts';
import { certifyKey, recertifyKey, type SignedCertificate } from '../../issue.ts';
import { keyIdentifier } from '../../key-pair.ts';
import { PkiError } from '../../pki-error.ts';
import { agentConstraintUris } from '../../x509/agent-constraints.ts';
import { publicKeyOfRequest } from '../../x509/certificate-request.ts';
import type { IssuerFiles } from '../issuer-files.ts';
import type { IssuerMetrics } from '../metrics.ts';
import {
  type AgentGrant,
  isExpired,
  type StoredToken,
  type TokenStore,
} from '../tokens/token-store.ts';
import { Refusal } from './refusal.ts';

export interface EnrollmentsOptions {
  readonly store: TokenStore;
  readonly files: IssuerFiles;
  readonly lifetimeMs: number;
  readonly logger: Logger;
  readonly metrics: IssuerMetrics;
}

/**
 * Decides which agent gets which certificate. The names in it come from the token, or from the certificate
 * that it replaces; the request only provides the key.
 */
export class Enrollments {
  readonly #options: EnrollmentsOptions;

  constructor(options: EnrollmentsOptions) {
    this.#options = options;
  }

  /**
   * Redeems a token for a certificate, in PEM with its chain. An agent that did not receive the answer can
   * retry with the same key until the token expires.
   *
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
    const publicKey = keyOf(csr, enrollment);
    const keyHash = keyIdentifier(publicKey).toString('hex');
    // From here on the token is used, even if signing fails: better no certificate than two.
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
    this.#onIssued('enrol', issued, { address });
    return issued.certPem;
  }

  /**
   * A new certificate for an agent that joined with a token, with the names of its current one.
   *
   * @param peer the agent's certificate, verified and not expired, its common name, and its `host:port`
   * @throws Refusal
   */
  renew(
    peer: {
      readonly certificate: X509Certificate;
      readonly commonName: string | undefined;
      readonly address: string;
    },
    csr: string,
  ): string {
    const { certificate, commonName, address } = peer;
    const identity = identityOf(certificate);
    const { enrollment } = identity;
    this.#refuseDenied(commonName, identity);
    if (enrollment === undefined) {
      throw new Refusal(
        'certificate_refused',
        'the certificate was not made for a token; the issuer renews only such certificates',
      );
    }
    const publicKey = keyOf(csr, enrollment);
    const { lifetimeMs } = this.#options;
    const issued = this.#sign(enrollment, (authority) =>
      recertifyKey(authority, publicKey, certificate, lifetimeMs),
    );
    this.#onIssued('renew', issued, { address, replaces: identity.serialNumber });
    return issued.certPem;
  }

  #refuseDenied(commonName: string | undefined, identity: Partial<CertificateIdentity>): void {
    const denied = this.#options.files.denyEntry(commonName, identity);
    if (denied === undefined) return;
    const { enrollment } = identity;
    throw new Refusal('certificate_refused', `--agent-denylist has ${denied}`, { enrollment });
  }

  /** A malformed, unknown or wrong token gets the same answer, so that strangers learn nothing. */
  async #findToken(text: string): Promise<StoredToken> {
    const token = parseToken(text);
    const stored = token && (await this.#options.store.get(token.id));
    if (!token || !stored || !isSameHash(stored.record.hash, hashOfToken(token))) {
      throw new Refusal('token_unknown', 'there is no such token');
    }
    return stored;
  }

  #sign(enrollment: string, sign: (authority: Authority) => SignedCertificate): SignedCertificate {
    try {
      return sign(this.#options.files.credentials.authority);
    } catch (error) {
      if (!(error instanceof PkiError)) throw error;
      throw new Refusal('unavailable', `the issuer cannot sign: ${error.message}`, { enrollment });
    }
  }

  #onIssued(
    request: 'enrol' | 'renew',
    { certificate, notAfter }: SignedCertificate,
    from: { readonly address: string; readonly replaces?: string },
  ): void {
    const { serialNumber, fingerprint, enrollment: enrolment } = identityOf(certificate);
    const { subject, subjectAltName: names } = certificate;
    const { logger, metrics } = this.#options;
    logger.info(
      { request, enrolment, subject, names, serialNumber, fingerprint, notAfter, ...from },
      'certificate issued',
    );
    metrics.issued.inc({ request });
  }
}

/** The URI names of a certificate: what the agent may claim, and the ID of its token. */
export function uriNamesOf(grant: AgentGrant, enrollment: string): string[] {
  return [...agentConstraintUris(grant), `fairlead:enrolment=${enrollment}`];
}

function keyOf(csr: string, enrollment: string): KeyObject {
  try {
    return publicKeyOfRequest(csr);
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    throw new Refusal('bad_request', error.message, { enrollment });
  }
}

/** Compares two hexadecimal SHA-256 hashes in constant time. */
function isSameHash(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected, 'hex'), Buffer.from(given, 'hex')];
  return a.length === b.length && timingSafeEqual(a, b);
}
