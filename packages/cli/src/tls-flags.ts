import type { ClientTls } from '@fairlead/client';
import { checkPair } from '@fairlead/runtime/options';
import { loadTlsFiles } from '@fairlead/runtime/tls';

/**
 * Reads and checks a client's TLS files.
 * @param name prefix of the flags: `proxy`, `target`
 * @param files values of `--NAME-ca-cert`, `--NAME-cert` and `--NAME-key`
 * @param warn receives a text for each certificate that is not in its validity period
 * @throws UsageError with flag, file and cure
 */
export function readTlsFlags(
  name: string,
  { ca, cert, key }: Readonly<Record<'ca' | 'cert' | 'key', string | undefined>>,
  warn: (text: string) => void,
): Pick<ClientTls, 'ca' | 'cert' | 'key'> {
  checkPair([`${name}-cert`, cert], [`${name}-key`, key]);
  const file = (what: string, path: string) => ({ flag: `--${name}-${what}`, path });
  const { context, warnings } = loadTlsFiles({
    identity:
      cert === undefined || key === undefined
        ? undefined
        : { cert: file('cert', cert), key: file('key', key) },
    ca: ca === undefined ? undefined : file('ca-cert', ca),
    cipherSuites: [],
    minVersion: 'VersionTLS12',
  });
  for (const warning of warnings) warn(warning);
  // Here `loadTlsFiles` returns PEM texts.
  return Object.fromEntries(
    (['ca', 'cert', 'key'] as const)
      .map((part) => [part, context[part]])
      .filter(([, pem]) => typeof pem === 'string'),
  );
}
