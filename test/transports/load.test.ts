/** Every front-end protocol carries every paced load at no more than its rate. */
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { createLoadTarget, type LoadOrder, Meter, startLoad } from '@fairlead/client/load';
import { eventually, sharedTestPki } from '@fairlead/testkit';
import t from 'tap';
import { routeTo, startService } from '../e2e/service.ts';
import { loopback } from '../support/fleet.ts';

const streams = 4;
const ratePerSecond = 100;
const measuredOperations = 20;

const { kubelet } = await sharedTestPki();
const count = { bytes: 0, operations: 0 };
const echo = await listen(createLoadTarget('echo', count));
const http = await listen(createLoadTarget('http', count));
const https = await listen(createLoadTarget('http', count, kubelet.server));

const requests = { kind: 'http', tls: false, reconnect: false } as const;
const tls = { takesAny: true };
const loads = {
  echo: { target: echo, order: { kind: 'echo', messageBytes: 64, pauseMs: 0 } },
  open: { target: echo, order: { kind: 'open' } },
  HTTP: { target: http, order: requests },
  'HTTP on new connections': { target: http, order: { ...requests, reconnect: true } },
  HTTPS: { target: https, order: { ...requests, tls } },
  'HTTPS on new connections': { target: https, order: { ...requests, tls, reconnect: true } },
} as const;

const { server } = await startService(t, 'tls');

for (const kind of ['HTTP/1.1 over mTLS', 'HTTP/2 over the UDS', 'gRPC over the UDS'] as const) {
  for (const [name, { target, order }] of Object.entries(loads)) {
    t.test(`paces ${name} by ${kind}`, async (t) => {
      const route = routeTo(t, server, kind, target);
      // Real time, because the tunnel's session is in this process. The exact rate is tested in
      // packages/client/test, with controlled time.
      const meter = new Meter();
      const paced: LoadOrder = { ...order, route, streams, ratePerSecond, isLasting: true };
      const load = await startLoad(paced, meter);
      await eventually('the operations', () => meter.operations >= measuredOperations);
      const { operations, elapsedMs, failures } = meter.end();
      await load.stop();
      t.equal(failures, 0);
      // The first operation of each stream can be due at time 0.
      const dueMs = ((operations - streams) / ratePerSecond) * 1000;
      t.ok(elapsedMs >= dueMs, `${operations} operations in ${elapsedMs} ms`);
    });
  }
}

async function listen(target: Server): Promise<{ host: string; port: number }> {
  target.listen(0, loopback);
  await once(target, 'listening');
  t.teardown(() => target.close());
  return { host: loopback, port: (target.address() as AddressInfo).port };
}
