import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';

/** What one side received until the peer's end. */
export interface ByteReport {
  readonly bytes: number;
  /** Hex; empty when hashing was switched off. */
  readonly sha256: string;
}

/** How a stream is counted. */
export interface CountOptions {
  /** `false` leaves the SHA-256 out, for throughput measurements. */
  readonly hash?: boolean;
  /** Called with the length of every chunk. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Reads `stream` to its end and reports what came. Rejects with the stream's error, and when it
 * closes before its end.
 */
export function countBytes(
  stream: Readable,
  { hash: hashing = true, onBytes }: CountOptions = {},
): Promise<ByteReport> {
  return new Promise((resolve, reject) => {
    const hash = hashing ? createHash('sha256') : undefined;
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      hash?.update(chunk);
      onBytes?.(chunk.length);
    });
    stream.once('end', () => resolve({ bytes, sha256: hash?.digest('hex') ?? '' }));
    stream.once('error', reject);
    // After an end or an error this changes nothing: a promise settles once.
    stream.once('close', () => reject(new Error(`closed after ${bytes} bytes, before its end`)));
  });
}

/** Reads `stream` to its end as UTF-8 text. Rejects as `countBytes` does. */
export async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  // Not `for await`: it would destroy a socket whose other side is still open.
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await countBytes(stream, { hash: false });
  return Buffer.concat(chunks).toString('utf8');
}
