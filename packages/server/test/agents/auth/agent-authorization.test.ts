import { parseIpNetwork } from '@fairlead/runtime/net';
import { createLogger } from '@fairlead/runtime/process';
import { type AgentPeer, claimTexts, createAuthorizer } from '@fairlead/server/internal';
import t from 'tap';

type Mode = Parameters<typeof createAuthorizer>[0];

const address = '10.0.0.9:4000';

/** A peer whose certificate covers `host=node-1`, `ipv4=10.0.0.1` and `cidr=10.1.0.0/16`. */
const withCertificate: AgentPeer = {
  address,
  commonName: 'node-1',
  certificate: {
    serialNumber: '1',
    fingerprint: 'f',
    enrollment: undefined,
    constraints: {
      hosts: new Set(['node-1']),
      addresses: new Set(['10.0.0.1']),
      networks: [{ network: parseIpNetwork('10.1.0.0/16')!, maxPrefixBits: 16 }],
      defaultRoute: false,
    },
  },
};
const token = { username: 'system:serviceaccount:a:b', nodeName: 'Node-2.', identity: 'i' };
const withToken: AgentPeer = { address, commonName: undefined, certificate: undefined, token };

interface Warning {
  readonly msg: string;
  readonly claims?: readonly string[];
  readonly warnings?: readonly string[];
}

interface Outcome {
  readonly warnings: readonly Warning[];
  readonly counted: readonly [kind: string, isRefused: boolean][];
  readonly refusals: readonly string[];
  readonly covered?: string[];
  readonly uncovered?: string[];
  readonly error?: Error;
}

/** Authorizes one agent, and collects what the operator sees of it. */
function authorize(mode: Mode, peer: AgentPeer, identifiers: string | undefined): Outcome {
  const warnings: Warning[] = [];
  const counted: [kind: string, isRefused: boolean][] = [];
  const refusals: string[] = [];
  const logger = createLogger('warn', { write: (line) => void warnings.push(JSON.parse(line)) });
  const authorizer = createAuthorizer(mode, logger, {
    onUncoveredClaim: (kind, isRefused) => void counted.push([kind, isRefused]),
    onAgentRefused: (reason) => void refusals.push(reason),
  });
  const seen = { warnings, counted, refusals };
  try {
    const { covered, uncovered } = authorizer('agent-1', identifiers, peer);
    return { ...seen, covered: claimTexts(covered), uncovered: claimTexts(uncovered) };
  } catch (error) {
    return { ...seen, error: error as Error };
  }
}

const own = 'host=node-1&ipv4=10.0.0.1&cidr=10.1.0.0/16';
const ownTexts = ['host=node-1', 'ipv4=10.0.0.1', 'cidr=10.1.0.0/16'];
const foreign = 'host=node-2&ipv4=10.0.0.2&ipv6=fd00::2&cidr=10.0.0.0/8&default-route=true';
const foreignTexts = foreign.split('&');
const foreignKinds = ['host', 'ipv4', 'ipv6', 'cidr', 'default-route'];
const nothingSeen = { warnings: [], counted: [], refusals: [] };

t.test(
  'accepts claims that the certificate covers, in every mode, and warns of nothing',
  async (t) => {
    for (const mode of ['enforce', 'audit', 'off'] as const) {
      const accepted = { ...nothingSeen, covered: ownTexts, uncovered: [] };
      t.strictSame(authorize(mode, withCertificate, own), accepted, mode);
    }
    const none = { ...nothingSeen, covered: [], uncovered: [] };
    t.strictSame(authorize('enforce', withCertificate, undefined), none);
  },
);

t.test('enforce: refuses an agent with a claim that its certificate does not cover', async (t) => {
  const { warnings, counted, refusals, error } = authorize(
    'enforce',
    withCertificate,
    `${own}&${foreign}`,
  );
  t.match(error, {
    code: 'unauthorized',
    message: `the certificate of node-1 does not cover ${foreignTexts.join(', ')}`,
  });
  t.match(warnings, [
    {
      msg: 'agent refused: its certificate does not cover it',
      agent: 'agent-1',
      address,
      commonName: 'node-1',
      claims: foreignTexts,
    },
  ]);
  t.equal(warnings.length, 1);
  t.strictSame(
    counted,
    foreignKinds.map((kind) => [kind, true]),
  );
  t.strictSame(refusals, ['unauthorized']);
});

t.test('audit: accepts, logs and counts a claim that the certificate does not cover', async (t) => {
  const { warnings, ...seen } = authorize('audit', withCertificate, `${own}&${foreign}`);
  t.strictSame(seen, {
    covered: ownTexts,
    uncovered: foreignTexts,
    counted: foreignKinds.map((kind) => [kind, false]),
    refusals: [],
  });
  t.match(warnings, [
    { msg: 'claims that the certificate does not cover', agent: 'agent-1', claims: foreignTexts },
  ]);
  t.equal(warnings.length, 1);
});

t.test('off: every claim counts as covered', async (t) => {
  const accepted = { ...nothingSeen, covered: foreignTexts, uncovered: [] };
  t.strictSame(authorize('off', withCertificate, foreign), accepted);
  t.strictSame(authorize('off', withToken, foreign), accepted);
});

t.test('a token covers the name of its node and nothing else', async (t) => {
  const accepted = { ...nothingSeen, covered: ['host=node-2'], uncovered: [] };
  t.strictSame(authorize('enforce', withToken, 'host=node-2'), accepted);
  for (const claim of ['host=node-1', 'ipv4=10.0.0.2', 'cidr=10.0.0.0/8', 'default-route=true']) {
    const { error, warnings } = authorize('enforce', withToken, claim);
    t.match(error, {
      code: 'unauthorized',
      message: `the token of ${token.username} on Node-2. does not cover ${claim}`,
    });
    t.match(warnings, [
      {
        msg: 'agent refused: its token does not cover it',
        account: token.username,
        node: 'Node-2.',
      },
    ]);
  }
});

t.test('a token adds its node to what the certificate covers', async (t) => {
  const both = { ...withCertificate, token };
  const accepted = { ...nothingSeen, covered: [...ownTexts, 'host=node-2'].sort(), uncovered: [] };
  const result = authorize('enforce', both, `${own}&host=node-2`);
  t.strictSame({ ...result, covered: result.covered?.sort() }, accepted);
  t.match(authorize('enforce', both, 'host=node-3').error, {
    message: 'the certificate of node-1 does not cover host=node-3',
  });
});

t.test('an agent without a node or a name is refused as what is known of it', async (t) => {
  const unbound = { ...withToken, token: { ...token, nodeName: undefined } };
  t.match(authorize('enforce', unbound, 'host=node-2').error, {
    message: `the token of ${token.username} does not cover host=node-2`,
  });
  t.match(authorize('enforce', { ...withCertificate, commonName: undefined }, 'host=x').error, {
    message: 'the certificate of the agent does not cover host=x',
  });
});

t.test('names at most eight claims', async (t) => {
  const claims = Array.from({ length: 10 }, (_, index) => `host=h${index}`);
  const refusalOf = (count: number) =>
    authorize('enforce', withCertificate, claims.slice(0, count).join('&'));
  t.match(refusalOf(8).warnings, [{ claims: claims.slice(0, 8) }]);
  t.match(refusalOf(8).error, { message: /host=h7$/ });
  t.strictSame(refusalOf(10).warnings[0]?.claims, [...claims.slice(0, 8), '2 more']);
  t.match(refusalOf(10).error, { message: /host=h7, 2 more$/ });
  t.equal(refusalOf(10).counted.length, 10, 'all are counted');
});

t.test('logs at most eight identifiers that cannot be read, in every mode', async (t) => {
  const bad = Array.from({ length: 9 }, () => 'ipv4=x').join('&');
  for (const mode of ['enforce', 'audit', 'off'] as const) {
    const { warnings, covered } = authorize(mode, withCertificate, `host=node-1&${bad}`);
    t.strictSame(covered, ['host=node-1']);
    t.match(warnings, [
      {
        msg: 'agent identifiers that cannot be read never match',
        agent: 'agent-1',
        commonName: 'node-1',
      },
    ]);
    const shown = Array.from({ length: 8 }, () => 'ipv4=x is not an IP address');
    t.strictSame(warnings[0]?.warnings, shown);
  }
});
