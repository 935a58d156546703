import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { Route } from '../route.ts';
import type { HttpTls } from './load.ts';

/** How TLS is made with an HTTP target; autocannon itself would take any certificate. */
export function targetTlsOptions(
  { target: { host } }: Route,
  targetTls: boolean | HttpTls,
): ConnectionOptions {
  const name = { host, servername: isIP(host) === 0 ? host : '' };
  if (typeof targetTls === 'boolean') return { ...name, rejectUnauthorized: false };
  const { takesAny = false, ...credentials } = targetTls;
  return { ...credentials, ...name, rejectUnauthorized: !takesAny };
}
