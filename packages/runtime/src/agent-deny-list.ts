import { type CertificateIdentity, canonicalHex, canonicalSerial } from './certificate-identity.ts';
import type { NamedFile } from './pem-file.ts';
import { readNamedFile } from './read-named-file.ts';
import { UsageError } from './usage-error.ts';

/** Whom the list is asked about. */
export interface DeniablePeer {
  readonly commonName: string | undefined;
  readonly certificate: CertificateIdentity | undefined;
  readonly token?: { readonly nodeName?: string | undefined } | undefined;
}

/** Certificates, and tokens of nodes, that are not taken any more, whatever their dates say. */
export class AgentDenyList {
  readonly #serials = new Set<string>();
  readonly #fingerprints = new Set<string>();
  readonly #commonNames = new Set<string>();
  readonly #nodes = new Set<string>();
  readonly #enrolments = new Set<string>();

  /**
   * Reads a file of lines `serial:HEX`, `sha256:HEX` (the certificate's fingerprint), `cn:NAME`,
   * `enrolment:ID` (the token that an agent joined by, for all its renewed certificates), or `node:NAME` (the
   * node that a service account's token is bound to). Empty lines and such that begin with `#` are left out.
   *
   * @throws UsageError that names file and line
   */
  static read({ flag, path }: NamedFile): AgentDenyList {
    const list = new AgentDenyList();
    const lines = readNamedFile(flag, path).split(/\r?\n/);
    for (const [index, line] of lines.entries()) {
      const text = line.trim();
      if (text === '' || text.startsWith('#')) continue;
      if (!list.#add(text)) {
        throw new UsageError(
          `${flag}: ${path}:${index + 1}: "${text}" is none of serial:HEX, sha256:HEX, cn:NAME, enrolment:ID, node:NAME`,
        );
      }
    }
    return list;
  }

  /** The entry that denies the peer. */
  entryFor({ commonName, certificate, token }: DeniablePeer): string | undefined {
    if (certificate && this.#serials.has(certificate.serialNumber)) {
      return `serial:${certificate.serialNumber}`;
    }
    if (certificate && this.#fingerprints.has(certificate.fingerprint)) {
      return `sha256:${certificate.fingerprint}`;
    }
    if (certificate?.enrolment !== undefined && this.#enrolments.has(certificate.enrolment)) {
      return `enrolment:${certificate.enrolment}`;
    }
    if (token?.nodeName !== undefined && this.#nodes.has(token.nodeName)) {
      return `node:${token.nodeName}`;
    }
    return commonName !== undefined && this.#commonNames.has(commonName)
      ? `cn:${commonName}`
      : undefined;
  }

  #add(text: string): boolean {
    const [, kind, value = ''] = /^(serial|sha256|cn|enrolment|node):\s*(.+)$/.exec(text) ?? [];
    const hex = canonicalHex(value);
    if (kind === 'cn') this.#commonNames.add(value);
    else if (kind === 'enrolment') this.#enrolments.add(value);
    else if (kind === 'node') this.#nodes.add(value);
    else if (kind === 'serial' && /^[0-9a-f]{1,40}$/.test(hex)) {
      this.#serials.add(canonicalSerial(hex));
    } else if (kind === 'sha256' && /^[0-9a-f]{64}$/.test(hex)) this.#fingerprints.add(hex);
    else return false;
    return true;
  }
}
