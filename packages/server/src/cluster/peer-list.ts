import { HELLO_LIMITS } from '@fairlead/protocol';
import { formatHostPort, type HostPort, parseHostPort } from '@fairlead/runtime/net';
import { readCheckedFile } from '@fairlead/runtime/options';
import type { Logger } from '@fairlead/runtime/process';
import { z } from 'zod';

/** HELLO has 16 KiB for all of its fields (spec 2.4). */
const MAX_PEERS_BYTES = 8 * 1024;

const notAPeer = 'is not HOST:PORT (IPv6 as "[ADDRESS]:PORT", in quotes)';
const peersSchema = z.array(
  z.string(notAPeer).refine((text) => parseHostPort(text) !== undefined, notAPeer),
  'must be a list of HOST:PORT, one for each server',
);

export interface PeerListOptions {
  /** This server's own address for agents, and those of its fellow workers. */
  readonly own: readonly HostPort[];
  /** A YAML or JSON list of `host:port`. */
  readonly path: string | undefined;
  readonly logger: Logger;
  /** Called after each change, with at most 64 different addresses. */
  onChange(peers: readonly string[]): void;
}

/** The servers that agents are to dial: this one's own address, those of a file, and those of Leases. */
export class PeerList {
  readonly #options: PeerListOptions;
  #fromFile: readonly string[] = [];
  #fromLeases: readonly string[] = [];
  #peers: readonly string[] = [];

  constructor(options: PeerListOptions) {
    this.#options = options;
  }

  /** Reads the file, at the start and after a change. @throws UsageError when it cannot be used */
  read(): void {
    const { path } = this.#options;
    this.#fromFile =
      path === undefined ? [] : readCheckedFile({ flag: '--peers-file', path }, peersSchema);
    this.#update();
  }

  /** The addresses, `host:port`, that other servers publish now. */
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
      logger.warn({ leftOut }, 'more peers than agents can be told of');
    }
    if (peers.join() === this.#peers.join()) return;
    this.#peers = peers;
    logger.info({ peers }, 'peers for agents');
    onChange(peers);
  }
}
