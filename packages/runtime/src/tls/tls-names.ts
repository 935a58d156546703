/** Go's names for TLS versions and cipher suites, as Kubernetes' flags use them. */
import { getCiphers, type SecureVersion } from 'node:tls';

const opensslBySuite: Readonly<Record<string, string>> = {
  // TLS 1.3
  TLS_AES_128_GCM_SHA256: 'TLS_AES_128_GCM_SHA256',
  TLS_AES_256_GCM_SHA384: 'TLS_AES_256_GCM_SHA384',
  TLS_CHACHA20_POLY1305_SHA256: 'TLS_CHACHA20_POLY1305_SHA256',
  // TLS 1.2 with forward secrecy
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: 'ECDHE-ECDSA-AES128-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: 'ECDHE-RSA-AES128-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  // TLS 1.2 without forward secrecy
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_128_CBC_SHA256: 'AES128-SHA256',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
};

const available = new Set(getCiphers().map((name) => name.toUpperCase()));

/** The suites that `--cipher-suites` accepts: Go's names, if this OpenSSL supports them. */
export const cipherSuiteNames: readonly string[] = Object.keys(opensslBySuite).filter((name) =>
  available.has(opensslBySuite[name]!),
);

/**
 * The server's order decides. AES-128 needs less CPU than AES-256, and is as secure for this purpose. Of TLS 1.2,
 * only the suites that RFC 9113 appendix A allows: forward secrecy and authenticated encryption.
 */
const defaultSuites: readonly string[] = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
  'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
  'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256',
  'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256',
];

/** Describes `defaultSuites` in `--help`. */
export const defaultSuitesText =
  'all of TLS 1.3, AES-128 first; of TLS 1.2 those with ECDHE and GCM or ChaCha20';

/**
 * Go's suite names as the `ciphers` of a secure context, in order of preference. Node keeps all suites of TLS 1.3
 * enabled unless the list names one of them. A list of only TLS 1.3 suites disables TLS 1.2.
 *
 * @param suites empty: the defaults
 */
export function opensslCiphers(suites: readonly string[]): string {
  const chosen = suites.length > 0 ? suites : defaultSuites;
  return chosen.map((name) => opensslBySuite[name]!).join(':');
}

/** The versions that `--tls-min-version` accepts; older ones are never used. */
export const tlsVersionNames = ['VersionTLS12', 'VersionTLS13'] as const;

export type TlsVersionName = (typeof tlsVersionNames)[number];

export function secureVersion(name: TlsVersionName): SecureVersion {
  return name === 'VersionTLS13' ? 'TLSv1.3' : 'TLSv1.2';
}
