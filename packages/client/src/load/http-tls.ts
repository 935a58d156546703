import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { Route } from '../route.ts';
import type { HttpTls } from './load.ts';

/** TLS options for an HTTP target. The certificate is verified, unless the order accepts any. */
export function targetTlsOptions(
  { target: { host } }: Route,
  targetTls: boolean | HttpTls,
): ConnectionOptions {
  const name = { host, servername: isIP(host) === 0 ? host : '' };
  if (typeof targetTls === 'boolean') return { ...name, rejectUnauthorized: false };
  const { takesAny = false, ...credentials } = targetTls;
  return { ...credentials, ...name, rejectUnauthorized: !takesAny };
}
