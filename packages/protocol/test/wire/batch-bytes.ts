import type { FrameBatch } from '@fairlead/protocol/internal';

/** Empties a batch into a buffer of its own. */
export function takeBytes(batch: FrameBatch): Buffer {
  const { buffer, bytes } = batch.take();
  return Buffer.from(buffer.subarray(0, bytes));
}

/** A DATA frame with that payload. */
export function putData(batch: FrameBatch, streamId: number, payload: Buffer): void {
  const source = {
    takeInto: (buffer: Buffer, at: number) => void payload.copy(buffer, at),
  };
  batch.data(streamId, source, payload.length);
}
