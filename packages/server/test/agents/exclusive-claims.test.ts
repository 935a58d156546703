import { Backends, claimConflicts, conflictsOf } from '@fairlead/server/internal';
import t from 'tap';
import { FakeBackend } from '../routing/fake-backend.ts';

/** A backend whose agent has this identity. */
function backendOf(
  agentId: string,
  identity: string,
  covered: string,
  uncovered = '',
  address = `${agentId}:1`,
) {
  const token = { username: identity, nodeName: undefined, identity };
  const peer = { address, commonName: identity, certificate: undefined, token };
  return Object.assign(new FakeBackend(agentId, covered, uncovered), { peer });
}

function backendsOf(...all: readonly FakeBackend[]): Backends {
  const backends = new Backends();
  for (const backend of all) backends.add(backend);
  return backends;
}

const claimsOf = (conflicts: ReturnType<typeof claimConflicts>) =>
  conflicts.map(({ claim }) => claim).sort();

t.test('two agents that claim one host or address are in conflict', async (t) => {
  const one = backendOf('one', 'x', 'host=n&ipv4=10.0.0.1&ipv6=fd00::1&host=own');
  const other = backendOf('other', 'y', 'host=n', 'ipv4=10.0.0.1&ipv6=fd00::1');
  const backends = backendsOf(one, other);
  const claims = ['host=n', 'ipv4=10.0.0.1', 'ipv6=fd00::1'];
  t.strictSame(claimsOf(claimConflicts(backends)), claims);
  for (const backend of [one, other])
    t.strictSame(claimsOf(conflictsOf(backend, backends)), claims);
  const [conflict] = conflictsOf(one, backends);
  t.strictSame(conflict, {
    claim: 'host=n',
    agents: [
      { agentId: 'one', address: 'one:1', commonName: 'x' },
      { agentId: 'other', address: 'other:1', commonName: 'y' },
    ],
  });
});

t.test(
  'two tunnels of one agent are not in conflict, until a third agent claims the same',
  async (t) => {
    const [first, second] = [backendOf('a', 'x', 'host=n'), backendOf('b', 'x', 'host=n')];
    const backends = backendsOf(first, second);
    t.strictSame(claimConflicts(backends), []);
    t.strictSame(conflictsOf(second, backends), []);
    backends.add(backendOf('c', 'y', 'host=n'));
    t.match(claimConflicts(backends), [
      { claim: 'host=n', agents: [{ agentId: 'a' }, { agentId: 'b' }, { agentId: 'c' }] },
    ]);
  },
);

t.test('an agent alone, and agents of one network, are not in conflict', async (t) => {
  const [one, other] = [
    backendOf('one', 'x', 'host=n&cidr=10.0.0.0/8&default-route=true'),
    backendOf('other', 'y', 'host=m&cidr=10.0.0.0/8&default-route=true'),
  ];
  const backends = backendsOf(one, other);
  t.strictSame(claimConflicts(backends), []);
  t.strictSame(conflictsOf(one, backends), []);
  t.strictSame(conflictsOf(backendOf('gone', 'z', 'host=k'), backends), []);
});

t.test('agents with one ID are in conflict, unless they are one agent', async (t) => {
  const at = (address: string, identity: string) => backendOf('same', identity, '', '', address);
  const first = at('10.0.0.1:1', 'x');
  const again = at('10.0.0.1:2', 'x');
  t.strictSame(claimConflicts(backendsOf(first, again)), []);
  for (const other of [at('10.0.0.1:2', 'y'), at('10.0.0.2:1', 'x')]) {
    const backends = backendsOf(first, other);
    t.strictSame(claimsOf(claimConflicts(backends)), ['agent-id=same']);
    t.strictSame(claimsOf(conflictsOf(other, backends)), ['agent-id=same']);
    backends.remove(first);
    t.strictSame(claimConflicts(backends), []);
  }
});
