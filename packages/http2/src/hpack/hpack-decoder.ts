import { ErrorCode, Http2Error } from '../wire/frames.ts';
import { decodeHuffman } from './huffman.ts';
import { staticTable, type TableEntry } from './static-table.ts';

/** The table's size until SETTINGS say otherwise (RFC 9113 section 6.5.2). We never send another. */
const TABLE_BYTES = 4_096;
/** What an entry costs beside its text (RFC 7541 section 4.1). */
const ENTRY_BYTES = 32;
/** Longer integers occur only in attacks: no length or index that is allowed needs them. */
const MAX_INTEGER = 2 ** 28;

const empty = Buffer.alloc(0);

/** Receives the fields of a header block, in order. Each character is one byte (latin1). */
export type FieldReceiver = (name: string, value: string) => void;

/** Decodes the header blocks of one connection, all of them and in order (RFC 7541). */
export class HpackDecoder {
  /** Dynamic table, the newest entry last. */
  #table: TableEntry[] = [];
  #tableBytes = 0;
  #maxTableBytes = TABLE_BYTES;
  #block: Buffer = empty;
  #at = 0;

  /** @throws Http2Error COMPRESSION_ERROR, which ends the connection */
  decode(block: Buffer, onField: FieldReceiver): void {
    this.#block = block;
    this.#at = 0;
    let canResize = true;
    while (this.#at < block.length) {
      const first = block[this.#at]!;
      if (first >= 0x80) {
        const { name, value } = this.#entry(this.#integer(7));
        onField(name, value);
      } else if (first >= 0x40) {
        this.#add(this.#literal(6, onField));
      } else if (first >= 0x20) {
        // Section 4.2: at the beginning of a block, and not above our limit.
        if (!canResize) throw compressionError('a table size update follows a field');
        this.#resize(this.#integer(5));
        continue;
      } else {
        this.#literal(4, onField);
      }
      canResize = false;
    }
  }

  #literal(prefixBits: number, onField: FieldReceiver): TableEntry {
    const index = this.#integer(prefixBits);
    const name = index === 0 ? this.#string() : this.#entry(index).name;
    const value = this.#string();
    onField(name, value);
    return { name, value };
  }

  #entry(index: number): TableEntry {
    const entry =
      index < staticTable.length
        ? staticTable[index]
        : this.#table[this.#table.length - 1 - (index - staticTable.length)];
    if (index === 0 || !entry) throw compressionError(`there is no table entry ${index}`);
    return entry;
  }

  #add(entry: TableEntry): void {
    this.#table.push(entry);
    this.#tableBytes += bytesOf(entry);
    this.#evict();
  }

  #resize(maxBytes: number): void {
    if (maxBytes > TABLE_BYTES) throw compressionError(`a table of ${maxBytes} bytes is too large`);
    this.#maxTableBytes = maxBytes;
    this.#evict();
  }

  #evict(): void {
    let count = 0;
    while (this.#tableBytes > this.#maxTableBytes) {
      this.#tableBytes -= bytesOf(this.#table[count]!);
      count++;
    }
    if (count > 0) this.#table.splice(0, count);
  }

  /** Section 5.1. */
  #integer(prefixBits: number): number {
    const mask = 2 ** prefixBits - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (value > MAX_INTEGER || factor > MAX_INTEGER)
        throw compressionError('an integer is too large');
      if (byte < 0x80) return value;
    }
  }

  /** Section 5.2. */
  #string(): string {
    const isHuffman = (this.#block[this.#at] ?? 0) >= 0x80;
    const length = this.#integer(7);
    const from = this.#at;
    this.#at += length;
    if (this.#at > this.#block.length) throw compressionError('a string exceeds its block');
    if (!isHuffman) return this.#block.toString('latin1', from, this.#at);
    const text = decodeHuffman(this.#block, from, this.#at);
    if (text === undefined) throw compressionError('a Huffman code is invalid');
    return text;
  }

  #byte(): number {
    const byte = this.#block[this.#at++];
    if (byte === undefined) throw compressionError('a header block ends within a field');
    return byte;
  }
}

function bytesOf({ name, value }: TableEntry): number {
  return name.length + value.length + ENTRY_BYTES;
}

function compressionError(reason: string): Http2Error {
  return new Http2Error(ErrorCode.COMPRESSION_ERROR, reason);
}
