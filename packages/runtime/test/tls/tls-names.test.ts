import { getCiphers } from 'node:tls';
import { defineOptions, kinds, option, parseOptions } from '@fairlead/runtime/options';
import { opensslCiphers, secureVersion } from '@fairlead/runtime/tls';
import t from 'tap';

const table = defineOptions({
  program: 'sample',
  summary: 'sample: has TLS names',
  options: {
    'cipher-suites': option(kinds.list(kinds.cipherSuite), {
      group: 'TLS',
      description: 'Suites',
      default: [],
    }),
    'tls-min-version': option(kinds.tlsVersion, {
      group: 'TLS',
      description: 'Version',
      default: 'VersionTLS12',
    }),
  },
});
const parse = (...argv: string[]) => parseOptions(table, { argv, env: {} }).options;

t.test("translates Go's names of cipher suites to OpenSSL's", async (t) => {
  const { cipherSuites } = parse(
    '--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305',
    '--cipher-suites=TLS_AES_128_GCM_SHA256',
  );
  const ciphers = opensslCiphers(cipherSuites);
  t.equal(
    ciphers,
    'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:TLS_AES_128_GCM_SHA256',
  );
  for (const name of ciphers.split(':')) {
    t.ok(getCiphers().includes(name.toLowerCase()), `OpenSSL has ${name}`);
  }
  const byDefault = opensslCiphers([]).split(':');
  t.ok(byDefault.length > 0);
  for (const name of byDefault) t.match(name, /^(TLS_|ECDHE-).*(GCM|CHACHA20)/, name);
});

t.test('refuses unknown and removed cipher suites', async (t) => {
  for (const name of ['TLS_RSA_WITH_RC4_128_SHA', 'ECDHE-RSA-AES128-GCM-SHA256', 'constructor']) {
    t.throws(() => parse(`--cipher-suites=${name}`), {
      message: `--cipher-suites: "${name}" is not a supported cipher suite (use its Go name)`,
    });
  }
});

t.test('the minimum version is 1.2, and can be 1.3', async (t) => {
  t.equal(secureVersion(parse().tlsMinVersion), 'TLSv1.2');
  t.equal(secureVersion(parse('--tls-min-version=VersionTLS13').tlsMinVersion), 'TLSv1.3');
  t.throws(() => parse('--tls-min-version=VersionTLS11'), {
    message: '--tls-min-version: "VersionTLS11" is none of VersionTLS12, VersionTLS13',
  });
});
