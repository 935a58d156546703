import type { IpAddress, IpNetwork } from '@fairlead/runtime/net';

/**
 * Values by network, found by address, the longest prefix first.
 *
 * One map per prefix length that occurs: a lookup costs one hash per such length, at most 33 for IPv4
 * and 129 for IPv6, however many networks there are. Real clusters use two or three lengths.
 */
export class PrefixTable<T> {
  /** By family, the longest prefix first; no level is empty. */
  readonly #levels: Record<4 | 6, readonly Level<T>[]> = { 4: [], 6: [] };

  get(network: IpNetwork): T | undefined {
    const level = this.#levelOf(network);
    return level?.values.get(network.value >> level.shift);
  }

  set(network: IpNetwork, value: T): void {
    const { family, value: bits, prefixBits } = network;
    const found = this.#levelOf(network);
    const shift = BigInt((family === 4 ? 32 : 128) - prefixBits);
    const level = found ?? { prefixBits, shift, values: new Map<bigint, T>() };
    level.values.set(bits >> shift, value);
    if (found) return;
    const levels = [...this.#levels[family], level];
    this.#levels[family] = levels.sort((one, other) => other.prefixBits - one.prefixBits);
  }

  delete(network: IpNetwork): void {
    const level = this.#levelOf(network);
    if (!level) return;
    const { family, value: bits } = network;
    level.values.delete(bits >> level.shift);
    if (level.values.size > 0) return;
    this.#levels[family] = this.#levels[family].filter((other) => other !== level);
  }

  /** Values of all networks that contain the address, the longest prefix first. */
  *matches({ family, value: bits }: IpAddress): Generator<T> {
    for (const { shift, values } of this.#levels[family]) {
      const value = values.get(bits >> shift);
      if (value !== undefined) yield value;
    }
  }

  #levelOf({ family, prefixBits }: IpNetwork): Level<T> | undefined {
    return this.#levels[family].find((level) => level.prefixBits === prefixBits);
  }
}

/** Networks of one prefix length, by the bits of their prefix. */
interface Level<T> {
  readonly prefixBits: number;
  readonly shift: bigint;
  readonly values: Map<bigint, T>;
}
