import { once } from 'node:events';
import type { Duplex } from 'node:stream';

/** The next bytes, without making the socket flow; undefined at its end. Rejects with its error. */
export async function readSome(socket: Duplex): Promise<Buffer | undefined> {
  for (;;) {
    const chunk: Buffer | null = socket.read();
    if (chunk) return chunk;
    if (socket.errored) throw socket.errored;
    if (socket.readableEnded || socket.destroyed) return undefined;
    const heard = new AbortController();
    const events = ['readable', 'end', 'close'].map((event) =>
      once(socket, event, { signal: heard.signal }),
    );
    await Promise.race(events).finally(() => heard.abort());
  }
}
