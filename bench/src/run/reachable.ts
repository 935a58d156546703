import type { Route } from '@fairlead/client';
import { openClientStream } from '@fairlead/client';

const limitMs = 20_000;
const pauseMs = 50;
/** A forwarder that has no agent yet takes the connection and closes it at once. */
const holdMs = 100;

/** Tries until a stream opens and stays open. Rejects with the last failure after 20 s. */
export async function waitUntilReachable(route: Route): Promise<void> {
  const giveUpMs = performance.now() + limitMs;
  for (;;) {
    const failure = await tryOnce(route, giveUpMs - performance.now());
    if (!failure) return;
    if (performance.now() >= giveUpMs) throw new Error(`no stream opens: ${failure.message}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

function tryOnce(route: Route, timeoutMs: number): Promise<Error | undefined> {
  return new Promise((resolve) => {
    let timer = setTimeout(() => {
      stream.destroy();
      resolve(new Error('no answer'));
    }, timeoutMs);
    const stream = openClientStream(route, {
      onOpen() {
        clearTimeout(timer);
        timer = setTimeout(() => {
          resolve(undefined);
          stream.destroy();
        }, holdMs);
      },
      onData() {},
      onDrain() {},
      onClose(error) {
        clearTimeout(timer);
        resolve(error ?? new Error('closed at once'));
      },
    });
  });
}
