import { Socket } from 'node:net';

/** V8 gives up caching after four shapes. It counts them only after some calls. */
const shapes = ['a', 'b', 'c', 'd', 'e', 'f'];
const rounds = 20;

/**
 * Makes new sockets cheap on Node 20. Its constructor copies the options with `{ ...options }`. As long as V8 knows few
 * shapes of options, each copy gets a hidden class of its own, and all accesses to it miss their caches. The
 * constructor then takes more than ten times as long.
 */
export function warmSockets(): void {
  for (let round = 0; round < rounds; round++) {
    for (const shape of shapes) new Socket({ [shape]: 1 }).destroy();
  }
}
