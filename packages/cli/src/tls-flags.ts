import type { ClientTls } from '@fairlead/client';
import { checkPair } from '@fairlead/runtime/options';
import { loadTlsFiles } from '@fairlead/runtime/tls';

/** The files that `--NAME-ca-cert`, `--NAME-cert` and `--NAME-key` name. */
interface TlsFlags {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * Reads and checks a client's TLS files.
 * @param name what the flags begin with: `proxy`, `target`
 * @param warn told of certificates that are out of their time
 * @throws UsageError with flag, file and cure
 */
export function readTlsFlags(
  name: string,
  { ca, cert, key }: TlsFlags,
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
  // Texts, as it has read them.
  return Object.fromEntries(
    (['ca', 'cert', 'key'] as const)
      .map((part) => [part, context[part]])
      .filter(([, pem]) => typeof pem === 'string'),
  );
}
