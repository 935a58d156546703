import {
  formatHostPort,
  type HostPort,
  type Logger,
  parseHostPort,
  readYamlFile,
  UsageError,
  WatchedFile,
} from '@fairlead/runtime';

/** What HELLO carries (spec 2.4), which has 16 KiB for everything. */
const MAX_PEERS = 64;
const MAX_PEERS_BYTES = 8 * 1024;

export interface PeerListOptions {
  /** This server's own address for agents. */
  readonly own: HostPort | undefined;
  /** A YAML or JSON list of `host:port`. */
  readonly path: string | undefined;
  readonly logger: Logger;
  /** Called at the start and after each change, with at most 64 different addresses. */
  onChange(peers: readonly string[]): void;
}

/**
 * The servers that agents are to dial: this one's own address and those of a file, which is read again
 * whenever it changes. A file that cannot be used later on leaves the list as it was.
 */
export class PeerList {
  readonly #options: PeerListOptions;
  #watch: WatchedFile | undefined;
  #peers: readonly string[] = [];

  constructor(options: PeerListOptions) {
    this.#options = options;
  }

  /** @throws UsageError for a file that cannot be used */
  start(): void {
    const { own, path } = this.#options;
    if (own === undefined && path === undefined) return;
    this.#set(this.#read());
    if (path !== undefined) this.#watch = new WatchedFile(path, () => this.#reload());
  }

  close(): void {
    this.#watch?.close();
  }

  #reload(): void {
    try {
      this.#set(this.#read());
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.#options.logger.warn({ detail: error.message }, 'the list of peers stays as it was');
    }
  }

  #read(): string[] {
    const { own, path } = this.#options;
    const fromFile = path === undefined ? [] : readPeers(path);
    return [...new Set([...(own ? [formatHostPort(own)] : []), ...fromFile])];
  }

  #set(all: readonly string[]): void {
    const peers = all.slice(0, MAX_PEERS);
    while (Buffer.byteLength(JSON.stringify(peers)) > MAX_PEERS_BYTES) peers.pop();
    if (peers.length < all.length) {
      const leftOut = all.slice(peers.length);
      this.#options.logger.warn({ leftOut }, 'more peers than agents can be told of');
    }
    if (peers.join() === this.#peers.join()) return;
    this.#peers = peers;
    this.#options.logger.info({ peers }, 'peers for agents');
    this.#options.onChange(peers);
  }
}

function readPeers(path: string): string[] {
  const content = readYamlFile('--peers-file', path);
  if (!Array.isArray(content)) {
    throw new UsageError(
      `--peers-file: ${path}: must hold a list of HOST:PORT, one for each server`,
    );
  }
  return content.map((item: unknown) => {
    const peer = typeof item === 'string' ? parseHostPort(item) : undefined;
    if (peer) return formatHostPort(peer);
    throw new UsageError(
      `--peers-file: ${path}: ${JSON.stringify(item)} is not HOST:PORT (IPv6 as "[ADDRESS]:PORT", in quotes)`,
    );
  });
}
