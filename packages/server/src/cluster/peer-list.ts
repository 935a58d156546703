import { HELLO_LIMITS } from '@fairlead/protocol';
import { formatHostPort, type HostPort, parseHostPort } from '@fairlead/runtime/net';
import { readCheckedFile } from '@fairlead/runtime/options';
import type { Logger } from '@fairlead/runtime/process';
import { z } from 'zod';

/** HELLO has 16 KiB for all its fields (spec 2.4). */
const MAX_PEERS_BYTES = 8 * 1024;

const notAPeer = 'is not HOST:PORT (IPv6 as "[ADDRESS]:PORT", in quotes)';
const peersSchema = z.array(
  z.string(notAPeer).refine((text) => parseHostPort(text) !== undefined, notAPeer),
  'must be a list of HOST:PORT, one for each server',
);

export interface PeerListOptions {
  /** The addresses for agents of this server and of all workers. */
  readonly own: readonly HostPort[];
  /** A YAML or JSON list of `host:port`. */
  readonly path: string | undefined;
  readonly logger: Logger;
  /** Called after each change, with at most 64 different addresses. */
  onChange(peers: readonly string[]): void;
}

/** The servers' addresses for agents: of this server, from a file, and from Leases. */
export class PeerList {
  readonly #options: PeerListOptions;
  #fromFile: readonly string[] = [];
  #fromLeases: readonly string[] = [];
  #peers: readonly string[] = [];

  constructor(options: PeerListOptions) {
    this.#options = options;
  }

  /** Reads the file. @throws UsageError if it cannot be used */
  read(): void {
    const { path } = this.#options;
    this.#fromFile =
      path === undefined ? [] : readCheckedFile({ flag: '--peers-file', path }, peersSchema);
    this.#update();
  }

  /** Replaces the addresses from Leases, each `host:port`. */
  setLeased(addresses: readonly string[]): void {
    this.#fromLeases = addresses;
    this.#update();
  }

  #update(): void {
    const { own, logger, onChange } = this.#options;
    const ownAddresses = own.map(formatHostPort);
    const all = [...new Set([...ownAddresses, ...this.#fromFile, ...this.#fromLeases])];
    const peers = all.slice(0, HELLO_LIMITS.peers);
    while (Buffer.byteLength(JSON.stringify(peers)) > MAX_PEERS_BYTES) peers.pop();
    if (peers.length < all.length) {
      const leftOut = all.slice(peers.length);
      logger.warn({ leftOut }, 'too many peers: some are not sent to agents');
    }
    if (peers.join() === this.#peers.join()) return;
    this.#peers = peers;
    logger.info({ peers }, 'peers for agents');
    onChange(peers);
  }
}
