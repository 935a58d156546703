import { type IpAddress, parseIpAddress } from '@fairlead/runtime/net';
import type { Cidr } from './cidr.ts';

/**
 * Values by network, found by address, the longest prefix first.
 *
 * One map per prefix length that occurs: a lookup costs one hash per such length, at most 33 for IPv4
 * and 129 for IPv6, however many networks there are. Real clusters use two or three lengths.
 */
export class PrefixTable<T> {
  /** By family, the longest prefix first; no level is empty. */
  readonly #levels: Record<4 | 6, readonly Level<T>[]> = { 4: [], 6: [] };

  get(cidr: Cidr): T | undefined {
    const { level, bits } = this.#find(cidr);
    return level?.values.get(bits >> level.shift);
  }

  set(cidr: Cidr, value: T): void {
    const { family, bits, level: found } = this.#find(cidr);
    const { prefix } = cidr;
    const shift = BigInt((family === 4 ? 32 : 128) - prefix);
    const level = found ?? { prefix, shift, values: new Map<bigint, T>() };
    level.values.set(bits >> shift, value);
    if (found) return;
    const levels = [...this.#levels[family], level];
    this.#levels[family] = levels.sort((one, other) => other.prefix - one.prefix);
  }

  delete(cidr: Cidr): void {
    const { family, bits, level } = this.#find(cidr);
    if (!level) return;
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

  #find({ address, prefix }: Cidr) {
    const { family, value: bits } = parseIpAddress(address)!;
    return { family, bits, level: this.#levels[family].find((level) => level.prefix === prefix) };
  }
}

/** Networks of one prefix length, by the bits of their prefix. */
interface Level<T> {
  readonly prefix: number;
  readonly shift: bigint;
  readonly values: Map<bigint, T>;
}
