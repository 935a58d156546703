/**
 * Runs one half of the TLS relay (tls-relay.ts) as a process:
 *
 *     node tls-relay-main.js near --listen PATH|HOST:PORT --to HOST:PORT --ca F --cert F --key F
 *     node tls-relay-main.js far  --listen HOST:PORT      --to HOST:PORT --ca F --cert F --key F
 *
 * Logs one `listening` line on stderr, like Fairlead's programs, and ends on SIGTERM.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type RelayListen, startFarRelay, startNearRelay } from './links/tls-relay.ts';

const usage =
  'usage: tls-relay-main near|far --listen PATH|HOST:PORT --to HOST:PORT --ca FILE --cert FILE --key FILE';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    listen: { type: 'string' },
    to: { type: 'string' },
    ca: { type: 'string' },
    cert: { type: 'string' },
    key: { type: 'string' },
  },
});
const role = positionals[0];
const { listen, to, ca, cert, key } = values;
if ((role !== 'near' && role !== 'far') || !listen || !to || !ca || !cert || !key) {
  console.error(usage);
  process.exit(2);
}

const start = role === 'near' ? startNearRelay : startFarRelay;
const listenAddress: RelayListen = listen.includes('/') ? { path: listen } : hostAndPort(listen);
const relay = await start({
  listen: listenAddress,
  to: hostAndPort(to),
  tls: {
    ca: readFileSync(ca, 'utf8'),
    cert: readFileSync(cert, 'utf8'),
    key: readFileSync(key, 'utf8'),
  },
});
const bound =
  'path' in listenAddress ? listenAddress : { address: listenAddress.host, port: relay.port };
console.error(JSON.stringify({ msg: 'listening', listener: role, ...bound }));
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => relay.close());

function hostAndPort(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(text.slice(colon + 1)) };
}
