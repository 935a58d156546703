import { staticIndexOfName, staticTable } from './static-table.ts';

export type Fields = Readonly<Record<string, string>>;

/**
 * Encodes a header block that needs no table at the peer, so that it can be made once and sent often: each field is a
 * static entry or a literal that is not indexed.
 * @param fields names in lower case, values in latin1
 */
export function encodeFields(fields: Fields): Buffer {
  const bytes: number[] = [];
  for (const [name, value] of Object.entries(fields)) {
    const whole = staticTable.findIndex((entry) => entry.name === name && entry.value === value);
    if (whole > 0 && value !== '') {
      writeInteger(bytes, 0x80, 7, whole);
      continue;
    }
    const index = staticIndexOfName.get(name) ?? 0;
    writeInteger(bytes, 0, 4, index);
    if (index === 0) writeString(bytes, name);
    writeString(bytes, value);
  }
  return Buffer.from(bytes);
}

/** RFC 7541 section 5.1. @param flags the bits of the first byte above the prefix */
function writeInteger(bytes: number[], flags: number, prefixBits: number, value: number): void {
  const mask = 2 ** prefixBits - 1;
  if (value < mask) {
    bytes.push(flags | value);
    return;
  }
  bytes.push(flags | mask);
  let rest = value - mask;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
}

function writeString(bytes: number[], text: string): void {
  const content = Buffer.from(text, 'latin1');
  writeInteger(bytes, 0, 7, content.length);
  bytes.push(...content);
}
