import { Socket } from 'node:net';

/** V8 gives up caching after four shapes. It counts them only after some calls. */
const SHAPES = ['a', 'b', 'c', 'd', 'e', 'f'];
const ROUNDS = 20;

/**
 * Makes new sockets cheap on Node 20. Its constructor copies the options with `{ ...options }`. As long as V8 knows few
 * shapes of options, each copy gets a hidden class of its own, and all accesses to it miss their caches: a socket then
 * costs about twice the CPU time for its whole life. Later versions of Node do not have this fault.
 */
export function warmSockets(): void {
  if (!process.version.startsWith('v20.')) return;
  for (let round = 0; round < ROUNDS; round++) {
    for (const shape of SHAPES) new Socket({ [shape]: 1 }).destroy();
  }
}
