import { readNamedFile } from '../options/read/read-named-file.ts';
import { UsageError } from '../process/usage-error.ts';
import {
  type CertificateIdentity,
  canonicalHex,
  canonicalSerial,
  isEnrollmentId,
} from './certificate-identity.ts';
import type { NamedFile } from './pem-file.ts';

/** What Kubernetes allows: a DNS subdomain (RFC 1123). */
const nodeName = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** Whom the list is asked about. */
export interface DeniablePeer {
  readonly commonName: string | undefined;
  /** As much of it as there is: one that is still to be made has no number. */
  readonly certificate: Partial<CertificateIdentity> | undefined;
  readonly token?: { readonly nodeName?: string | undefined } | undefined;
}

/** Certificates, and tokens of nodes, that are not taken any more, whatever their dates say. */
export class AgentDenyList {
  readonly #serials = new Set<string>();
  readonly #fingerprints = new Set<string>();
  readonly #commonNames = new Set<string>();
  readonly #nodes = new Set<string>();
  readonly #enrollments = new Set<string>();

  /**
   * Reads a file of lines `serial:HEX`, `sha256:HEX` (the certificate's fingerprint), `cn:NAME` (without ` #`),
   * `enrollment:ID` or `enrolment:ID` (the token that an agent joined with: denies all its renewed certificates),
   * or `node:NAME` (the node that a service account's token is bound to). Empty lines and lines that begin with
   * `#` are ignored. An entry that can match no peer is an error.
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
          `${flag}: ${path}:${index + 1}: "${text}" is none of serial:HEX, sha256:HEX, cn:NAME, enrollment:ID, node:NAME; a comment has a line of its own`,
        );
      }
    }
    return list;
  }

  /** The entry that denies the peer. */
  entryFor({ commonName, certificate, token }: DeniablePeer): string | undefined {
    const { serialNumber, fingerprint, enrollment } = certificate ?? {};
    const asked: readonly [string, ReadonlySet<string>, string | undefined][] = [
      ['serial', this.#serials, serialNumber],
      ['sha256', this.#fingerprints, fingerprint],
      ['enrollment', this.#enrollments, enrollment],
      ['node', this.#nodes, token?.nodeName],
      ['cn', this.#commonNames, commonName],
    ];
    const found = asked.find(([, names, name]) => name !== undefined && names.has(name));
    return found && `${found[0]}:${found[2]}`;
  }

  #add(text: string): boolean {
    const [, kind, value = ''] = /^(serial|sha256|cn|enroll?ment|node):\s*(.+)$/.exec(text) ?? [];
    const hex = canonicalHex(value);
    // Somebody's comment and no name, though X.520 would allow it.
    if (kind === 'cn' && !/\s#/.test(value)) this.#commonNames.add(value);
    else if (kind?.startsWith('enrol') && isEnrollmentId(value)) this.#enrollments.add(value);
    else if (kind === 'node' && nodeName.test(value)) this.#nodes.add(value);
    else if (kind === 'serial' && /^[0-9a-f]{1,40}$/.test(hex)) {
      this.#serials.add(canonicalSerial(hex));
    } else if (kind === 'sha256' && /^[0-9a-f]{64}$/.test(hex)) this.#fingerprints.add(hex);
    else return false;
    return true;
  }
}
