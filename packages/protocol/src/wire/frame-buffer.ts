/**
 * Buffers for frames on their way out, used again and again by all sessions of the process. Sending from
 * one contiguous buffer saves Node the copy, the allocation and the page faults of a vectored TLS write.
 */

/** Control frames, keystrokes: most writes. */
const SMALL_BYTES = 8_192;
/** Eight full DATA frames, and room for control frames beside them. */
const LARGE_BYTES = 8 * 32_768 + 1_024;
/** Kept for the next user; what is more goes back to the system. */
const KEPT_SMALL = 64;
const KEPT_LARGE = 16;

const small: Buffer[] = [];
const large: Buffer[] = [];

/** A buffer of at least that many bytes, with undefined content. */
export function takeFrameBuffer(bytes: number): Buffer {
  if (bytes <= SMALL_BYTES) return small.pop() ?? Buffer.allocUnsafeSlow(SMALL_BYTES);
  if (bytes <= LARGE_BYTES) return large.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
  return Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
}

/** Takes back a whole buffer that nobody reads or writes any more. */
export function releaseFrameBuffer(buffer: Buffer): void {
  if (buffer.length === SMALL_BYTES && small.length < KEPT_SMALL) small.push(buffer);
  else if (buffer.length === LARGE_BYTES && large.length < KEPT_LARGE) large.push(buffer);
}
