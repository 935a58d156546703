/**
 * Length in bits of each byte's Huffman code (RFC 7541 appendix B). The code is canonical: codes of one length are
 * consecutive numbers in the order of their bytes, so the lengths determine all codes.
 */
const codeLengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5,
  6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6,
  7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
  23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22,
  22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
  23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27,
  27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25,
  24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];
const END_OF_STRING = 256;
codeLengths[END_OF_STRING] = 30;

const NONE = 0xffff;

/**
 * The codes as an automaton that reads four bits a step. A code has at least five bits, so a step completes at most one
 * byte. The inner nodes of the code's tree are the states; the root is state 0.
 */
const { nextState, completed, canEnd } = buildAutomaton();

function buildAutomaton() {
  /** The two branches of each node: another node, or the byte's number below 0 (-1 - byte). */
  const branches: [number, number][] = [[0, 0]];
  /** Nodes that are reached by ones only: a string may end with fewer than 8 bits of END_OF_STRING. */
  const paddings = [0];
  const bytes = [...codeLengths.keys()];
  bytes.sort((one, other) => codeLengths[one]! - codeLengths[other]! || one - other);
  let code = 0;
  let length = codeLengths[bytes[0]!]!;
  for (const byte of bytes) {
    code *= 2 ** (codeLengths[byte]! - length);
    length = codeLengths[byte]!;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const side = (code >>> bit) & 1;
      if (branches[node]![side] === 0) {
        branches[node]![side] = branches.length;
        branches.push([0, 0]);
      }
      node = branches[node]![side]!;
      if (byte === END_OF_STRING && length - bit < 8) paddings.push(node);
    }
    branches[node]![code & 1] = -1 - byte;
    code++;
  }

  const nextState = new Uint16Array(branches.length * 16).fill(NONE);
  const completed = new Uint16Array(branches.length * 16).fill(NONE);
  for (let start = 0; start < branches.length; start++) {
    for (let bits = 0; bits < 16; bits++) {
      const step = start * 16 + bits;
      let node = start;
      for (let bit = 3; bit >= 0; bit--) {
        const branch = branches[node]![(bits >> bit) & 1]!;
        if (branch >= 0) {
          node = branch;
          continue;
        }
        completed[step] = -1 - branch;
        node = 0;
      }
      if (completed[step] !== END_OF_STRING) nextState[step] = node;
    }
  }
  const canEnd = new Uint8Array(branches.length);
  for (const node of paddings) canEnd[node] = 1;
  return { nextState, completed, canEnd };
}

/** Grows to the longest string. */
let scratch = Buffer.alloc(1_024);

/**
 * Decodes a Huffman-coded string (RFC 7541 section 5.2). Each byte of the string becomes one character (latin1).
 * @returns undefined if END_OF_STRING occurs or the padding is invalid
 */
export function decodeHuffman(source: Buffer, from: number, to: number): string | undefined {
  const maxBytes = Math.floor(((to - from) * 8) / 5);
  if (scratch.length < maxBytes) scratch = Buffer.alloc(maxBytes);
  let state = 0;
  let length = 0;
  for (let at = from; at < to; at++) {
    const byte = source[at]!;
    for (const bits of [byte >> 4, byte & 15]) {
      const step = state * 16 + bits;
      state = nextState[step]!;
      if (state === NONE) return undefined;
      const done = completed[step]!;
      if (done !== NONE) scratch[length++] = done;
    }
  }
  return canEnd[state] ? scratch.toString('latin1', 0, length) : undefined;
}
