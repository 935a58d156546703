/** Pseudorandom integers below a bound, determined by the seed (mulberry32). */
export type Random = (below: number) => number;

export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const maxInputBytes = 4_096;
const edges = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff];

type Mutation = (input: Buffer, random: Random, words: readonly Buffer[]) => Buffer;

const splice = (input: Buffer, from: number, to: number, insert: Uint8Array): Buffer =>
  Buffer.concat([input.subarray(0, from), insert, input.subarray(to)]);

const mutations: readonly Mutation[] = [
  (input, random) => {
    const copy = Buffer.from(input);
    if (copy.length > 0) copy[random(copy.length)]! ^= 1 << random(8);
    return copy;
  },
  (input, random) => {
    const copy = Buffer.from(input);
    if (copy.length > 0) copy[random(copy.length)] = random(256);
    return copy;
  },
  (input, random) => {
    const copy = Buffer.from(input);
    if (copy.length > 0) copy[random(copy.length)] = edges[random(edges.length)]!;
    return copy;
  },
  (input, random) => {
    const from = random(input.length + 1);
    return splice(input, from, from + random(input.length - from + 1), Buffer.alloc(0));
  },
  (input, random) => {
    const at = random(input.length + 1);
    return splice(
      input,
      at,
      at,
      Uint8Array.from({ length: 1 + random(8) }, () => random(256)),
    );
  },
  (input, random) => {
    const from = random(input.length + 1);
    const part = input.subarray(from, from + random(input.length - from + 1));
    const at = random(input.length + 1);
    return splice(input, at, at, part);
  },
  (input, random, words) => {
    if (words.length === 0) return input;
    const at = random(input.length + 1);
    return splice(input, at, at + random(2) * random(8), words[random(words.length)]!);
  },
];

/** Applies a few mutations to an input, sometimes after splicing in a part of another one. */
export function mutate(
  input: Buffer,
  other: Buffer,
  words: readonly Buffer[],
  random: Random,
): Buffer {
  let result = input;
  if (random(8) === 0) {
    const cut = random(input.length + 1);
    result = Buffer.concat([input.subarray(0, cut), other.subarray(random(other.length + 1))]);
  }
  for (let times = 1 + random(5); times > 0; times--) {
    result = mutations[random(mutations.length)]!(result, random, words);
  }
  return result.subarray(0, maxInputBytes);
}
