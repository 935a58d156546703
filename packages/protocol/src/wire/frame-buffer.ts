/**
 * A pool of buffers for outgoing frames, shared by all sessions of the process. Sending from one contiguous buffer
 * saves Node the copy, the allocation and the page faults of a vectored TLS write.
 */

/** For control frames and keystrokes, which are most writes. */
const SMALL_BYTES = 8_192;
/** For eight full DATA frames and some control frames. */
const LARGE_BYTES = 8 * 32_768 + 1_024;
/** How many free buffers are kept. */
const KEPT_SMALL = 64;
const KEPT_LARGE = 16;

const small: Buffer[] = [];
const large: Buffer[] = [];

/** @returns a buffer of at least `bytes` bytes, with undefined content */
export function takeFrameBuffer(bytes: number): Buffer {
  if (bytes <= SMALL_BYTES) return small.pop() ?? Buffer.allocUnsafeSlow(SMALL_BYTES);
  if (bytes <= LARGE_BYTES) return large.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
  return Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
}

/** Takes back a whole buffer. The caller must not use it from here on. */
export function releaseFrameBuffer(buffer: Buffer): void {
  if (buffer.length === SMALL_BYTES && small.length < KEPT_SMALL) small.push(buffer);
  else if (buffer.length === LARGE_BYTES && large.length < KEPT_LARGE) large.push(buffer);
}
