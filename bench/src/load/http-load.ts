import type { EventEmitter } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import autocannon from 'autocannon';
import type { HttpLoadOrder, Load } from './load.ts';
import { LoadDuplex } from './load-duplex.ts';
import type { Meter } from './meter.ts';

/** Longer than any measurement; `stop` ends it. */
const endlessSeconds = 86_400;

/**
 * HTTP requests by autocannon through the route. autocannon connects by `net.connect` and
 * `tls.connect` and offers no other way, so in this process those two lead through the route; for
 * TLS the same Duplex is used for every system, so that its cost is the same for all.
 *
 * Rate and latency are counted here, per request: autocannon's own count leaves out responses
 * after which it reconnects.
 */
export function startHttp(order: HttpLoadOrder, meter: Meter): Load {
  leadThrough(order);
  const protocol = order.tls ? 'https' : 'http';
  const { host, port } = order.route.target;
  let onRunning = () => {};
  const running = new Promise<void>((resolve) => {
    onRunning = resolve;
  });
  const run = autocannon(
    {
      url: `${protocol}://${host}:${port}/`,
      connections: order.streams,
      duration: endlessSeconds,
      ...(order.reconnect ? { reconnectRate: 1 } : {}),
      setupClient(client) {
        let sentAtMs = 0;
        // Its types leave two of its events out.
        const events: EventEmitter = client;
        events.on('request', () => {
          sentAtMs = performance.now();
        });
        events.on('headers', () => {
          meter.latency.recordSince(sentAtMs);
          meter.operations++;
          onRunning();
        });
        events.on('connError', (error: Error) => meter.fail(error));
      },
    },
    () => {},
  );
  return {
    running,
    async stop() {
      run.stop();
    },
  };
}

function leadThrough({ route }: HttpLoadOrder): void {
  const dial = () => new LoadDuplex(route);
  net.connect = dial as unknown as typeof net.connect;
  const connectTls = tls.connect;
  tls.connect = ((_port: number, _host: string, options: tls.ConnectionOptions) =>
    connectTls({ ...options, socket: dial() })) as typeof tls.connect;
}
