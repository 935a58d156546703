import type { NamedFile } from '@fairlead/runtime';
import { readNamedFile, UsageError } from '@fairlead/runtime';
import { canonicalHex } from './agent-certificate.ts';
import type { AgentPeer } from './agent-peer.ts';

/** Certificates, and tokens of nodes, that are not taken any more, whatever their dates say. */
export class AgentDenyList {
  readonly #serials = new Set<string>();
  readonly #fingerprints = new Set<string>();
  readonly #commonNames = new Set<string>();
  readonly #nodes = new Set<string>();

  /**
   * Reads a file of lines `serial:HEX`, `sha256:HEX` (the certificate's fingerprint), `cn:NAME`, or
   * `node:NAME` (the node that a token is bound to). Empty lines and such that begin with `#` are left out.
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
          `${flag}: ${path}:${index + 1}: "${text}" is none of serial:HEX, sha256:HEX, cn:NAME, node:NAME`,
        );
      }
    }
    return list;
  }

  /** The entry that denies the peer. */
  entryFor({ commonName, certificate, token }: AgentPeer): string | undefined {
    if (certificate && this.#serials.has(certificate.serialNumber)) {
      return `serial:${certificate.serialNumber}`;
    }
    if (certificate && this.#fingerprints.has(certificate.fingerprint)) {
      return `sha256:${certificate.fingerprint}`;
    }
    if (token?.nodeName !== undefined && this.#nodes.has(token.nodeName)) {
      return `node:${token.nodeName}`;
    }
    return commonName !== undefined && this.#commonNames.has(commonName)
      ? `cn:${commonName}`
      : undefined;
  }

  #add(text: string): boolean {
    const [, kind, value = ''] = /^(serial|sha256|cn|node):\s*(.+)$/.exec(text) ?? [];
    const hex = canonicalHex(value);
    if (kind === 'cn') this.#commonNames.add(value);
    else if (kind === 'node') this.#nodes.add(value);
    else if (kind === 'serial' && /^[0-9a-f]{1,40}$/.test(hex)) {
      this.#serials.add(hex.replace(/^0+(?=.)/, ''));
    } else if (kind === 'sha256' && /^[0-9a-f]{64}$/.test(hex)) this.#fingerprints.add(hex);
    else return false;
    return true;
  }
}
