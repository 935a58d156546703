import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';

/** The bytes that one side received until the peer's end. */
export interface ByteReport {
  readonly bytes: number;
  /** Hex; empty without hashing. */
  readonly sha256: string;
}

/**
 * Reads a stream to its end and reports its bytes. Rejects with the stream's error, or if it closes
 * before its end.
 * @param options.hash `false` omits the SHA-256, for throughput measurements
 * @param options.onBytes called with the length of each chunk
 */
export function countBytes(
  stream: Readable,
  options: { readonly hash?: boolean; readonly onBytes?: (bytes: number) => void } = {},
): Promise<ByteReport> {
  return new Promise((resolve, reject) => {
    const { onBytes } = options;
    const hash = (options.hash ?? true) ? createHash('sha256') : undefined;
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      hash?.update(chunk);
      onBytes?.(chunk.length);
    });
    stream.once('end', () => resolve({ bytes, sha256: hash?.digest('hex') ?? '' }));
    stream.once('error', reject);
    stream.once('close', () => reject(new Error(`closed after ${bytes} bytes, before its end`)));
  });
}

/** Reads `stream` to its end as UTF-8 text. Rejects as `countBytes` does. */
export async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  // `for await` would destroy a socket whose other direction is still open.
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await countBytes(stream, { hash: false });
  return Buffer.concat(chunks).toString('utf8');
}
