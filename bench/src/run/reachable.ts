import { setTimeout as sleep } from 'node:timers/promises';
import { openClientStream, type Route } from '@fairlead/client';

const limitMs = 20_000;
const pauseMs = 50;
/** A forwarder without an agent accepts a connection and closes it at once. */
const holdMs = 100;

/** Waits until a stream opens and stays open. @throws Error with the last failure after 20 s */
export async function waitUntilReachable(route: Route): Promise<void> {
  const giveUpMs = performance.now() + limitMs;
  for (;;) {
    const failure = await tryOnce(route, giveUpMs - performance.now());
    if (!failure) return;
    if (performance.now() >= giveUpMs)
      throw new Error(`no stream opened within 20 s: ${failure.message}`);
    await sleep(pauseMs);
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
