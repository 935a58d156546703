import { SimulatedTunnel } from './simulated-tunnel.ts';
import { inVirtualTime } from './virtual-clock.ts';

function run(
  name: string,
  bytesPerMs: number,
  rttMs: number,
  seconds: number,
  typing: boolean,
  hook?: (s: number, tunnel: SimulatedTunnel) => void,
) {
  const t0 = performance.now();
  inVirtualTime((clock) => {
    const tunnel = new SimulatedTunnel(clock, { bytesPerMs, rttMs });
    const bulk = tunnel.bulk();
    const keys = typing ? tunnel.type(97) : undefined;
    const rows: string[] = [];
    let last = 0;
    let seen = 0;
    for (let s = 1; s <= seconds; s++) {
      hook?.(s, tunnel);
      let maxQ = 0;
      for (let i = 0; i < 100; i++) {
        clock.advance(10);
        maxQ = Math.max(maxQ, tunnel.down.queueMs);
      }
      const d = bulk.deliveredBytes - last;
      last = bulk.deliveredBytes;
      const k = keys ? keys.echoMs.slice(seen) : [];
      seen = keys?.echoMs.length ?? 0;
      rows.push(
        `${s}: util ${(d / 1000 / tunnel.down.bytesPerMs).toFixed(2)} q ${maxQ.toFixed(0)} rtt ${tunnel.server.minRttMs.toFixed(0)}${k.length ? ` key ${Math.max(...k).toFixed(0)}` : ''}`,
      );
    }
    console.log(name, tunnel.isUp, '\n  ' + rows.join('\n  '));
  });
  console.log('cpu', (performance.now() - t0).toFixed(0));
}
const which = process.argv[2];
if (which === 'a' || !which) run('10M/50', 1250, 50, 30, true);
if (which === 'b' || !which) run('1G/100', 125_000, 100, 60, false);
if (which === 'c' || !which)
  run('slows 100M->10M', 12_500, 50, 40, true, (s, tun) => {
    if (s === 15) tun.down.bytesPerMs = 1250;
  });
if (which === 'd' || !which)
  run('speeds 10M->100M', 1250, 50, 40, true, (s, tun) => {
    if (s === 15) tun.down.bytesPerMs = 12_500;
  });
if (which === 'e' || !which)
  run('RTT 20->120 100M', 12_500, 20, 60, true, (s, tun) => {
    if (s === 15) tun.down.oneWayMs = 110;
  });
if (which === 'f') run('10M/1', 1250, 1, 20, true);
