import { readNamedFile } from '../options/read/read-named-file.ts';
import { UsageError } from '../process/startup-error.ts';
import {
  type CertificateIdentity,
  canonicalHex,
  canonicalSerial,
  isEnrollmentId,
} from './certificate-identity.ts';
import type { NamedFile } from './pem-file.ts';

/** A DNS subdomain (RFC 1123), as Kubernetes requires. */
const nodeName = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** Denied certificates and nodes: revoked before they expire. */
export class AgentDenyList {
  readonly #serials = new Set<string>();
  readonly #fingerprints = new Set<string>();
  readonly #commonNames = new Set<string>();
  readonly #nodes = new Set<string>();
  readonly #enrollments = new Set<string>();

  /**
   * Reads a file with one entry per line:
   *
   * - `serial:HEX`, `sha256:HEX`: a certificate, by its serial number or its fingerprint
   * - `cn:NAME`: a common name, without ` #`
   * - `enrollment:ID` (formerly `enrolment:ID`): the token with which an agent joined, which all its renewed certificates name
   * - `node:NAME`: the node that a service account's token is bound to
   *
   * Empty lines and lines that start with `#` are comments.
   *
   * A typing error must not delay the revocations on other lines, nor end earlier ones. So the list with a bad line
   * denies what its other lines and the earlier list deny.
   *
   * @param earlier the list in use
   * @returns with a UsageError that names the first line that can match nothing
   * @throws UsageError if the file cannot be read
   */
  static read(
    { flag, path }: NamedFile,
    earlier?: AgentDenyList,
  ): { readonly list: AgentDenyList; readonly fault: UsageError | undefined } {
    const list = new AgentDenyList();
    let fault: UsageError | undefined;
    const lines = readNamedFile(flag, path).split(/\r?\n/);
    for (const [index, line] of lines.entries()) {
      const text = line.trim();
      if (text === '' || text.startsWith('#')) continue;
      if (list.#add(text)) continue;
      fault ??= new UsageError(
        `${flag}: ${path}:${index + 1}: "${text}" is not an entry: write serial:HEX, sha256:HEX, cn:NAME, enrollment:ID or node:NAME. Put comments on lines of their own`,
      );
    }
    if (fault && earlier) list.#addAll(earlier);
    return { list, fault };
  }

  /**
   * The entry that denies the peer; undefined if none does.
   * @param peer.certificate partial, since a certificate that is still to be issued has no serial number
   */
  entryFor({
    commonName,
    certificate,
    token,
  }: {
    readonly commonName: string | undefined;
    readonly certificate: Partial<CertificateIdentity> | undefined;
    readonly token?: { readonly nodeName?: string | undefined } | undefined;
  }): string | undefined {
    const { serialNumber, fingerprint, enrollment } = certificate ?? {};
    const properties: readonly [string, ReadonlySet<string>, string | undefined][] = [
      ['serial', this.#serials, serialNumber],
      ['sha256', this.#fingerprints, fingerprint],
      ['enrollment', this.#enrollments, enrollment],
      ['node', this.#nodes, token?.nodeName],
      ['cn', this.#commonNames, commonName],
    ];
    const found = properties.find(([, names, name]) => name !== undefined && names.has(name));
    return found && `${found[0]}:${found[2]}`;
  }

  #addAll(other: AgentDenyList): void {
    for (const entry of other.#serials) this.#serials.add(entry);
    for (const entry of other.#fingerprints) this.#fingerprints.add(entry);
    for (const entry of other.#commonNames) this.#commonNames.add(entry);
    for (const entry of other.#nodes) this.#nodes.add(entry);
    for (const entry of other.#enrollments) this.#enrollments.add(entry);
  }

  #add(text: string): boolean {
    const [, kind, value = ''] = /^(serial|sha256|cn|enroll?ment|node):\s*(.+)$/.exec(text) ?? [];
    const hex = canonicalHex(value);
    // X.520 allows ` #` in a name, but here it is more likely a comment.
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
