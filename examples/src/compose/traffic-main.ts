/** Sends a request each second to one target after the other, through one server after the other. Prints a line for each. */
import { setTimeout as sleep } from 'node:timers/promises';
import { requestThrough } from '../request.ts';
import { stopSignal } from '../stop-signal.ts';
import { readNetwork } from './network.ts';
import { ServerPool } from './server-pool.ts';

const intervalMs = Number(process.env.INTERVAL_MS ?? 1000);
const { servers, nodes } = readNetwork();
const pool = new ServerPool(servers);
const requests = nodes.flatMap(({ name, kubelet, pod }) => [
  { what: `${name} kubelet`, target: kubelet, path: '/pods' },
  { what: `${name} pod`, target: pod, path: '/healthz' },
]);
const stopped = stopSignal();
let sent = 0;
let failed = 0;

while (!stopped.aborted) {
  const { what, target, path } = requests[sent % requests.length]!;
  // All targets through one server, then all through the next one.
  const first = Math.floor(sent / requests.length);
  const startedAt = performance.now();
  sent++;
  const line = await pool
    .through((via) => requestThrough(via, target, path), first)
    .then(
      ({ server, value }) => {
        if (value.status !== 200) failed++;
        return `${value.status} in ${(performance.now() - startedAt).toFixed(1)} ms by ${server}`;
      },
      (error: Error) => {
        failed++;
        return `FAILED: ${error.message}`;
      },
    );
  console.log(`${what}: GET ${path} ${line}`);
  await sleep(intervalMs, undefined, { signal: stopped }).catch(() => {});
}
console.log(`stopped: ${sent} requests, ${failed} failed`);
