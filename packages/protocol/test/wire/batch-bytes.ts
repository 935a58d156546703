import type { FrameBatch } from '@fairlead/protocol/internal';

/** Takes the bytes of a batch as a copy. */
export function takeBytes(batch: FrameBatch): Buffer {
  const { buffer, bytes } = batch.take();
  return Buffer.from(buffer.subarray(0, bytes));
}

/** Adds a DATA frame with this payload. */
export function putData(batch: FrameBatch, streamId: number, payload: Buffer): void {
  const source = {
    takeInto: (buffer: Buffer, at: number) => void payload.copy(buffer, at),
  };
  batch.data(streamId, source, payload.length);
}
