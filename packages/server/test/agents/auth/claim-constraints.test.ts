import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentConstraintUris, createAuthority, issueCertificate } from '@fairlead/pki';
import { parseAlternativeNames } from '@fairlead/runtime/tls';
import {
  claimTexts,
  constraintsOf,
  parseAgentIdentifiers,
  splitClaims,
} from '@fairlead/server/internal';
import t, { type Test } from 'tap';

t.test('reads subject alternative names in Node’s format', async (t) => {
  t.same(parseAlternativeNames(''), []);
  t.same(
    parseAlternativeNames('DNS:a.example, IP Address:10.0.0.1, URI:fairlead:cidr=10.0.0.0/8'),
    [
      { type: 'DNS', value: 'a.example' },
      { type: 'IP Address', value: '10.0.0.1' },
      { type: 'URI', value: 'fairlead:cidr=10.0.0.0/8' },
    ],
  );
  t.same(parseAlternativeNames('DNS:"a, URI:fairlead:default-route", DNS:b'), [
    { type: 'DNS', value: 'a, URI:fairlead:default-route' },
    { type: 'DNS', value: 'b' },
  ]);
  t.same(parseAlternativeNames('DNS:"a\\", DNS:\\"b"'), [{ type: 'DNS', value: 'a", DNS:"b' }]);
  t.same(parseAlternativeNames('othername:UPN:"a, DNS:b", DNS:c'), [
    { type: 'othername', value: 'UPN:"a, DNS:b"' },
    { type: 'DNS', value: 'c' },
  ]);
});

t.test('ignores all names if one is invalid', async (t) => {
  for (const bad of [
    'DNS:a,DNS:b',
    'DNS:a, ',
    'DNS',
    'DNS:"a',
    'DNS:"\\x", DNS:b',
    'DNS:"a"b',
    ', DNS:a',
  ]) {
    t.equal(parseAlternativeNames(bad), undefined, bad);
  }
});

/** A certificate from openssl, which signs invalid names too. */
function opensslCertificate(t: Test, names: string): X509Certificate {
  const directory = t.testdir();
  const configuration = `[req]\ndistinguished_name=dn\nx509_extensions=v3\nprompt=no\n[dn]\nCN=x\n[v3]\nsubjectAltName=@names\n[names]\n${names}\n`;
  writeFileSync(join(directory, 'c.cnf'), configuration);
  const args =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out c -days 1 -config c.cnf';
  execFileSync('openssl', args.split(' '), { cwd: directory, stdio: 'ignore' });
  return new X509Certificate(readFileSync(join(directory, 'c')));
}

t.test('reads a name that contains other names as one name', async (t) => {
  const injected = opensslCertificate(
    t,
    'DNS.1=node-1, URI:fairlead:default-route, DNS:node-2, IP Address:10.0.0.1\nURI.1=x:a",URI:fairlead:cidr=0.0.0.0/0',
  );
  t.match(injected.subjectAltName, /node-2/, 'the certificate contains the injected names');
  const constraints = constraintsOf(injected);
  t.notOk(constraints.hosts.has('node-2'));
  t.notOk(constraints.hosts.has('node-1'));
  t.same([...constraints.addresses], []);
  t.same(constraints.networks, []);
  t.notOk(constraints.defaultRoute);
});

/** The constraints of a certificate with these names, in Node's format. */
function constraintsOfNames(subjectAltName: string | undefined) {
  const { hosts, addresses, networks, ...rest } = constraintsOf({
    subjectAltName,
  } as X509Certificate);
  const texts = networks.map(({ network, maxPrefixBits }) => `${network.text}-${maxPrefixBits}`);
  return { hosts: [...hosts], addresses: [...addresses], networks: texts, ...rest };
}

const nothing = { hosts: [], addresses: [], networks: [], defaultRoute: false };

t.test('a certificate without names, or with names in another form, covers nothing', async (t) => {
  t.strictSame(constraintsOfNames(undefined), nothing);
  t.strictSame(constraintsOfNames('DNS:a,URI:fairlead:default-route'), nothing);
});

t.test('a name counts only as what its type says', async (t) => {
  t.strictSame(constraintsOfNames('DNS:10.0.0.1, URI:node-1, IP Address:10.0.0.2, email:a@b'), {
    ...nothing,
    hosts: ['10.0.0.1'],
    addresses: ['10.0.0.2'],
  });
  t.strictSame(constraintsOfNames('DNS:fairlead:default-route, DNS:fairlead:cidr=10.0.0.0/8'), {
    ...nothing,
    hosts: ['fairlead:default-route', 'fairlead:cidr=10.0.0.0/8'],
  });
  t.strictSame(constraintsOfNames('IP Address:<invalid>, DNS:a'), { ...nothing, hosts: ['a'] });
});

t.test('a network is read as a whole or not at all', async (t) => {
  const networksOf = (...uris: string[]) =>
    constraintsOfNames(uris.map((uri) => `URI:${uri}`).join(', ')).networks;
  t.strictSame(networksOf('fairlead:cidr=10.1.0.0/16-32', 'fairlead:cidr=fd00::/8-128'), [
    '10.1.0.0/16-32',
    'fd00::/8-128',
  ]);
  for (const uri of [
    ...['fairlead:cidr=10.1.0.0/16-24x', 'fairlead:cidr=10.1.0.0/16-', 'fairlead:cidr='],
    ...['xfairlead:cidr=10.1.0.0/16', 'fairlead:cidr=fd00::/8-129', 'fairlead:cidr=10.1.0.0/16-33'],
  ]) {
    t.strictSame(networksOf(uri), [], uri);
  }
});

const ca = createAuthority({ name: 'ca' });

async function split(names: object, identifiers: string) {
  const { certificate } = await issueCertificate(await ca, { kind: 'agent', name: 'a', ...names });
  const { covered, uncovered } = splitClaims(
    parseAgentIdentifiers(identifiers),
    constraintsOf(certificate),
  );
  return { covered: claimTexts(covered), uncovered: claimTexts(uncovered) };
}

t.test('covers a host only if it is a name of the certificate', async (t) => {
  const names = { hosts: ['node-1.example', '*.pods.example'] };
  t.same(await split(names, 'host=Node-1.Example.&host=node-1&host=x.pods.example'), {
    covered: ['host=node-1.example'],
    uncovered: ['host=node-1', 'host=x.pods.example'],
  });
});

t.test('covers an address of the certificate in any spelling', async (t) => {
  const names = { ips: ['10.0.0.1', 'fd00::1'] };
  const identifiers = 'ipv4=::ffff:10.0.0.1&ipv6=FD00:0::1&ipv4=10.0.0.2&ipv6=fd00::2';
  t.same(await split(names, identifiers), {
    covered: ['ipv4=10.0.0.1', 'ipv6=fd00::1'],
    uncovered: ['ipv4=10.0.0.2', 'ipv6=fd00::2'],
  });
});

t.test('covers a network and its parts down to the stated prefix', async (t) => {
  const uris = agentConstraintUris({ cidrs: ['10.1.0.0/16', '10.2.0.0/16-24', 'fd00::/32-64'] });
  t.same(uris, [
    'fairlead:cidr=10.1.0.0/16',
    'fairlead:cidr=10.2.0.0/16-24',
    'fairlead:cidr=fd00::/32-64',
  ]);
  const claims = [
    ...['10.1.0.0/16', '10.1.1.0/24', '10.0.0.0/8', '10.2.0.0/16', '10.2.3.0/24', '10.2.3.0/25'],
    ...['10.2.0.0/15', 'fd00:0:7::/64', 'fd00:0:7::/65', 'fd01::/64'],
  ];
  t.same(await split({ uris }, claims.map((cidr) => `cidr=${cidr}`).join('&')), {
    covered: ['cidr=10.1.0.0/16', 'cidr=10.2.0.0/16', 'cidr=10.2.3.0/24', 'cidr=fd00:0:7::/64'],
    uncovered: [
      ...['cidr=10.1.1.0/24', 'cidr=10.0.0.0/8', 'cidr=10.2.3.0/25', 'cidr=10.2.0.0/15'],
      ...['cidr=fd00:0:7::/65', 'cidr=fd01::/64'],
    ],
  });
});

t.test('invalid constraints cover nothing', async (t) => {
  const uris = ['10.1.0.0/16-8', '10.1.0.0/16-33', '10.1.0.1/16', '10.1.0.0', 'x'].map(
    (text) => `fairlead:cidr=${text}`,
  );
  t.same(await split({ uris }, 'cidr=10.1.0.0/16&cidr=10.1.0.0/32'), {
    covered: [],
    uncovered: ['cidr=10.1.0.0/16', 'cidr=10.1.0.0/32'],
  });
});

t.test('covers the default route only by its URI', async (t) => {
  const claim = 'default-route=true';
  t.same(await split({ uris: ['fairlead:default-route'] }, claim), {
    covered: [claim],
    uncovered: [],
  });
  t.same(await split({ uris: ['fairlead:default-routes'] }, claim), {
    covered: [],
    uncovered: [claim],
  });
  // The network of all addresses and the default route do not cover each other.
  t.same(await split({ uris: ['fairlead:cidr=0.0.0.0/0'] }, claim), {
    covered: [],
    uncovered: [claim],
  });
  const everything = 'cidr=0.0.0.0/0';
  t.same(await split({ uris: ['fairlead:default-route'] }, everything), {
    covered: [],
    uncovered: [everything],
  });
});
