import { type IpAddress, parseIpAddress } from '@fairlead/runtime/net';
import type { Cidr } from './cidr.ts';

/**
 * Values by network, found by address, the longest prefix first.
 *
 * One map per prefix length that occurs: a lookup costs one hash per such length, at most 33 for IPv4
 * and 129 for IPv6, however many networks there are. Real clusters use two or three lengths.
 */
export class PrefixTable<T> {
  readonly #families = { 4: new FamilyTable<T>(32), 6: new FamilyTable<T>(128) };

  get(cidr: Cidr): T | undefined {
    const { family, value: bits } = parseIpAddress(cidr.address)!;
    return this.#families[family].get(bits, cidr.prefix);
  }

  set(cidr: Cidr, value: T): void {
    const { family, value: bits } = parseIpAddress(cidr.address)!;
    this.#families[family].set(bits, cidr.prefix, value);
  }

  delete(cidr: Cidr): void {
    const { family, value: bits } = parseIpAddress(cidr.address)!;
    this.#families[family].delete(bits, cidr.prefix);
  }

  /** Values of all networks that hold the address, the longest prefix first. */
  matches({ family, value }: IpAddress): Generator<T> {
    return this.#families[family].matches(value);
  }
}

interface Level<T> {
  readonly prefix: number;
  readonly shift: bigint;
  readonly values: Map<bigint, T>;
}

/** Networks of one family. Keys are the bits of the prefix alone. */
class FamilyTable<T> {
  readonly #width: number;
  /** Longest prefix first; none is empty. */
  #levels: readonly Level<T>[] = [];

  constructor(width: number) {
    this.#width = width;
  }

  get(bits: bigint, prefix: number): T | undefined {
    const level = this.#level(prefix);
    return level?.values.get(bits >> level.shift);
  }

  set(bits: bigint, prefix: number, value: T): void {
    const level = this.#level(prefix) ?? this.#addLevel(prefix);
    level.values.set(bits >> level.shift, value);
  }

  delete(bits: bigint, prefix: number): void {
    const level = this.#level(prefix);
    if (!level) return;
    level.values.delete(bits >> level.shift);
    if (level.values.size === 0) this.#levels = this.#levels.filter((other) => other !== level);
  }

  *matches(bits: bigint): Generator<T> {
    for (const { shift, values } of this.#levels) {
      const value = values.get(bits >> shift);
      if (value !== undefined) yield value;
    }
  }

  #level(prefix: number): Level<T> | undefined {
    return this.#levels.find((level) => level.prefix === prefix);
  }

  #addLevel(prefix: number): Level<T> {
    const level = { prefix, shift: BigInt(this.#width - prefix), values: new Map<bigint, T>() };
    this.#levels = [...this.#levels, level].sort((a, b) => b.prefix - a.prefix);
    return level;
  }
}
