import {
  formatHostPort,
  type HostPort,
  type Logger,
  parseHostPort,
  readCheckedFile,
} from '@fairlead/runtime';
import { z } from 'zod';

/** What HELLO carries (spec 2.4), which has 16 KiB for everything. */
const MAX_PEERS = 64;
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

/** The servers that agents are to dial: this one's own address and those of a file. */
export class PeerList {
  readonly #options: PeerListOptions;
  #peers: readonly string[] = [];

  constructor(options: PeerListOptions) {
    this.#options = options;
  }

  /** Reads the file, at the start and after a change. @throws UsageError when it cannot be used */
  read(): void {
    const { own, path, logger, onChange } = this.#options;
    const fromFile =
      path === undefined ? [] : readCheckedFile({ flag: '--peers-file', path }, peersSchema);
    const all = [...new Set([...own.map(formatHostPort), ...fromFile])];
    const peers = all.slice(0, MAX_PEERS);
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
