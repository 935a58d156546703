import { TunnelError } from '@fairlead/protocol';
import { Backends, Router, type StrategyName } from '@fairlead/server/internal';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t from 'tap';
import { claims, FakeBackend, fakeBackends } from './fake-backend.ts';

const at = (host: string) => ({ host, port: 10_250 });

/** The IDs that a router picks for a host in 100 picks. */
function picked(router: Router, host: string, exclude?: FakeBackend): string {
  const ids = new Set<string>();
  for (let count = 0; count < 100; count++) {
    const backend = router.pick(at(host), exclude);
    if (backend) ids.add(backend.agentId);
  }
  return [...ids].sort().join(' ');
}

t.test('destHost matches names and addresses in any spelling', async (t) => {
  const { backends } = fakeBackends({
    name: 'host=Node-1.Example.',
    v4: 'ipv4=10.0.0.1',
    v6: 'ipv6=2001:DB8::0:1',
    other: 'host=node-2&ipv4=10.0.0.2',
  });
  const router = new Router(backends, ['destHost']);
  for (const host of ['node-1.example', 'NODE-1.example.', 'node-1.EXAMPLE']) {
    t.equal(picked(router, host), 'name', host);
  }
  for (const host of ['10.0.0.1', '::ffff:10.0.0.1', '::FFFF:A00:1']) {
    t.equal(picked(router, host), 'v4', host);
  }
  for (const host of ['2001:db8::1', '2001:0db8:0:0:0:0:0:1', '2001:DB8::0.0.0.1']) {
    t.equal(picked(router, host), 'v6', host);
  }
  for (const host of ['node-1', '10.0.0.3', '::a00:1', '167772161', 'constructor']) {
    t.equal(picked(router, host), '', host);
  }
});

t.test('destCIDR picks the longest prefix, and none for a name', async (t) => {
  const { backends } = fakeBackends({
    all: 'cidr=0.0.0.0/0',
    wide: 'cidr=10.0.0.0/8',
    narrow: 'cidr=10.1.0.0/16&cidr=fd00::/8',
    twin: 'cidr=10.1.0.0/16',
  });
  const router = new Router(backends, ['destCIDR']);
  t.equal(picked(router, '10.1.255.255'), 'narrow twin');
  t.equal(picked(router, '::ffff:10.1.0.1'), 'narrow twin');
  t.equal(picked(router, '10.2.0.0'), 'wide');
  t.equal(picked(router, '192.0.2.1'), 'all');
  t.equal(picked(router, 'fd12::1'), 'narrow');
  t.equal(picked(router, 'fe80::1'), '');
  t.equal(picked(router, 'node-1'), '');
});

t.test('uses strategies in order until one finds a backend', async (t) => {
  const { backends } = fakeBackends({
    host: 'host=node-1&ipv4=10.0.0.1',
    net: 'cidr=10.0.0.0/8',
    route: 'default-route=true',
    plain: '',
  });
  const picks = (...names: StrategyName[]) =>
    ['node-1', '10.0.0.1', '10.0.0.9', 'else'].map((host) =>
      picked(new Router(backends, names), host),
    );
  const any = 'host net plain route';
  t.strictSame(picks('destHost', 'destCIDR', 'defaultRoute', 'default'), [
    'host',
    'host',
    'net',
    'route',
  ]);
  t.strictSame(picks('destCIDR', 'destHost', 'default'), ['host', 'net', 'net', any]);
  t.strictSame(picks('defaultRoute', 'destHost'), ['route', 'route', 'route', 'route']);
  t.strictSame(picks('default', 'destHost'), [any, any, any, any]);
  t.strictSame(picks('destHost', 'destCIDR'), ['host', 'host', 'net', '']);
});

t.test('picks the less loaded of two backends, and never the most loaded one', async (t) => {
  const { backends, fakes } = fakeBackends({ a: '', b: '', c: '' });
  const router = new Router(backends, ['default']);
  fakes.a.load = 1;
  fakes.b.load = 2;
  fakes.c.load = 3;
  t.equal(picked(router, 'x'), 'a b');
  backends.remove(fakes.b);
  t.equal(picked(router, 'x'), 'a');
  t.equal(picked(router, 'x', fakes.a), 'c');
});

t.test('picks equally loaded backends equally often', async (t) => {
  const names = Array.from({ length: 5 }, (_, index) => `agent-${index}`);
  const { backends, fakes } = fakeBackends(Object.fromEntries(names.map((name) => [name, ''])));
  const router = new Router(backends, ['default']);
  const counts = new Map<string, number>();
  const picks = 20_000;
  for (let count = 0; count < picks; count++) {
    const { agentId } = router.pick(at('x'))!;
    counts.set(agentId, (counts.get(agentId) ?? 0) + 1);
  }
  // Five standard deviations of a binomial with p = 1/5.
  const spread = 5 * Math.sqrt(picks * 0.2 * 0.8);
  for (const name of names) {
    t.ok(Math.abs(counts.get(name)! - picks / 5) < spread, `${name} ${counts.get(name)}`);
  }
  t.equal(picked(router, 'x', fakes['agent-3']), 'agent-0 agent-1 agent-2 agent-4');
});

/**
 * The share of picks that each agent gets, over all draws of a router that draws one of 12 numbers at equal distances. 12
 * is a multiple of 2, 3 and 4, so that each of up to four choices is equally likely.
 */
function sharesOfPicks(
  backends: Backends,
  exclude?: FakeBackend,
): Readonly<Record<string, number>> {
  const [numbers, maxDraws] = [12, 4];
  const all = numbers ** maxDraws;
  const counts: Record<string, number> = {};
  const needsMore = new Error('another number is needed');
  /** Follows the draws that begin with these. */
  const follow = (draws: readonly number[]) => {
    let used = 0;
    const random = () => {
      if (used === draws.length) throw needsMore;
      return (draws[used++]! + 0.5) / numbers;
    };
    let id = 'none';
    try {
      id = new Router(backends, ['default'], random).pick(at('x'), exclude)?.agentId ?? 'none';
    } catch (error) {
      if (error !== needsMore || draws.length === maxDraws) throw error;
      for (let number = 0; number < numbers; number++) follow([...draws, number]);
      return;
    }
    counts[id] = (counts[id] ?? 0) + all / numbers ** draws.length;
  };
  follow([]);
  return Object.fromEntries(Object.entries(counts).map(([id, count]) => [id, count / all]));
}

t.test('compares each pair of backends equally often', async (t) => {
  const { backends, fakes } = fakeBackends({ a: '', b: '', c: '', d: '' });
  fakes.a.load = 1;
  fakes.b.load = 2;
  fakes.c.load = 3;
  fakes.d.load = 4;
  // Of the six pairs, the least loaded backend is in three, and the second one in two others.
  t.strictSame(sharesOfPicks(backends), { a: 3 / 6, b: 2 / 6, c: 1 / 6 });
  backends.remove(fakes.a);
  t.strictSame(sharesOfPicks(backends), { b: 2 / 3, c: 1 / 3 });
});

t.test('picks the less loaded of two other backends if one is excluded', async (t) => {
  for (const excluded of ['a', 'b', 'c'] as const) {
    const { backends, fakes } = fakeBackends({ a: '', b: '', c: '' });
    fakes.a.load = 1;
    fakes.b.load = 2;
    fakes.c.load = 3;
    const lowest = excluded === 'a' ? 'b' : 'a';
    t.strictSame(sharesOfPicks(backends, fakes[excluded]), { [lowest]: 1 }, excluded);
  }
});

t.test('picks among equally loaded backends equally often, also if one is excluded', async (t) => {
  const { backends, fakes } = fakeBackends({ a: '', b: '', c: '', d: '' });
  t.strictSame(sharesOfPicks(backends), { a: 1 / 4, b: 1 / 4, c: 1 / 4, d: 1 / 4 });
  t.strictSame(sharesOfPicks(backends, fakes.b), { a: 1 / 3, c: 1 / 3, d: 1 / 3 });
  backends.remove(fakes.d);
  backends.remove(fakes.c);
  t.strictSame(sharesOfPicks(backends, fakes.b), { a: 1 });
  backends.remove(fakes.a);
  t.strictSame(sharesOfPicks(backends, fakes.b), { none: 1 });
  t.strictSame(sharesOfPicks(backends), { b: 1 });
});

t.test('shows the backends of a target in the order in which they are preferred', async (t) => {
  const { backends, fakes } = fakeBackends({
    silent: 'host=n',
    draining: 'host=n',
    ready: 'host=n',
  });
  fakes.silent.isSilent = true;
  // Silence counts more than a drain.
  fakes.silent.isDraining = true;
  fakes.draining.isDraining = true;
  backends.refresh(fakes.silent);
  backends.refresh(fakes.draining);
  const router = new Router(backends, ['destHost', 'default']);
  const { ready, draining, silent } = fakes;
  t.strictSame(router.matches(at('n')), {
    strategy: 'destHost',
    backends: [ready, draining, silent],
  });
  t.equal(router.matches(at('m'))?.strategy, 'default');
  t.equal(new Router(backends, ['destHost']).matches(at('m')), undefined);
  t.equal(new Router(backends, ['defaultRoute']).matches(at('n')), undefined, 'an empty pool');
});

t.test(
  'knows all backends that claim a host, whether a certificate covers it or not',
  async (t) => {
    const { backends, fakes } = fakeBackends({
      owner: 'host=n',
      silent: 'host=n',
      other: 'host=m',
    });
    const poolOf = (host: string) => backends.hosts.get(host)?.all();
    t.strictSame(poolOf('m'), [fakes.other]);
    const rogue = new FakeBackend('rogue', '', 'host=n');
    backends.add(rogue);
    fakes.silent.isSilent = true;
    backends.refresh(fakes.silent);
    t.strictSame(poolOf('n'), [fakes.owner, fakes.silent, rogue]);
  },
);

t.test('forgets hosts and networks without backends', async (t) => {
  const { backends, fakes } = fakeBackends({
    a: 'host=n&ipv4=10.0.0.1&cidr=10.0.0.0/8',
    b: 'host=n&cidr=10.0.0.0/8',
  });
  backends.remove(fakes.a);
  t.strictSame([...backends.hosts.keys()], ['n']);
  t.equal(backends.hosts.get('n')?.size, 1);
  backends.remove(fakes.b);
  t.equal(backends.hosts.size, 0);
  t.strictSame([...backends.forNetworksOf('10.0.0.1')], []);
});

t.test('uses a draining backend only if the target has no other', async (t) => {
  const { backends, fakes } = fakeBackends({ a: 'host=n', b: 'host=n', c: 'host=m' });
  const router = new Router(backends, ['destHost', 'default']);
  fakes.a.isDraining = true;
  backends.refresh(fakes.a);
  t.equal(picked(router, 'n'), 'b');
  fakes.b.isDraining = true;
  backends.refresh(fakes.b);
  t.equal(picked(router, 'n'), 'a b', 'a draining backend is preferred to one that does not match');
  t.equal(picked(router, 'n', fakes.a), 'b');
});

/** Three failures in a row that are the agent's own fault. */
function failThreeTimes(backend: FakeBackend): void {
  for (let dial = 0; dial < 3; dial++) backend.onDialEnd(new TunnelError('agent_failed'));
}

t.test('uses a failing backend only if its pool has no other', async (t) => {
  const { backends, fakes } = fakeBackends({ a: 'host=n', b: 'host=n', c: 'host=m' });
  const router = new Router(backends, ['destHost', 'default']);
  controlTime(t);
  failThreeTimes(fakes.a);
  t.equal(picked(router, 'n'), 'b');
  t.strictSame(router.matches(at('n'))?.backends, [fakes.b, fakes.a]);
  fakes.b.isDraining = true;
  backends.refresh(fakes.b);
  t.equal(picked(router, 'n'), 'b', 'a draining backend can dial');
  failThreeTimes(fakes.b);
  t.equal(picked(router, 'n'), 'a b', 'a failing backend is preferred to one that does not match');
  fakes.a.onDialEnd();
  t.equal(picked(router, 'n'), 'a');
});

t.test('skips a silent backend in all strategies until it answers again', async (t) => {
  const { backends, fakes } = fakeBackends({
    host: 'host=n&ipv4=10.1.0.1',
    near: 'cidr=10.1.0.0/16',
    far: 'cidr=10.0.0.0/8',
  });
  const router = new Router(backends, ['destHost', 'destCIDR']);
  const setSilent = (backend: FakeBackend, isSilent: boolean) => {
    backend.isSilent = isSilent;
    backends.refresh(backend);
  };
  setSilent(fakes.host, true);
  t.equal(picked(router, '10.1.0.1'), 'near');
  setSilent(fakes.near, true);
  t.equal(picked(router, '10.1.0.1'), 'far');
  t.equal(picked(router, 'n'), 'host', 'no other backend matches the name');
  setSilent(fakes.far, true);
  t.equal(
    picked(router, '10.1.0.1'),
    'host',
    'if all are silent, the order of the strategies decides',
  );
  t.equal(picked(router, '10.1.0.1', fakes.host), 'near');
  setSilent(fakes.host, false);
  t.equal(picked(router, '10.1.0.1'), 'host');
});

t.test('follows backends that are added, are removed or change their claims', async (t) => {
  const { backends, fakes } = fakeBackends({ a: 'host=n&cidr=10.0.0.0/8', b: 'host=n' });
  const router = new Router(backends, ['destHost', 'destCIDR']);
  fakes.a.claims = claims('ipv4=10.0.0.1&default-route=true');
  backends.reindex(fakes.a);
  t.equal(picked(router, 'n'), 'b');
  t.equal(picked(router, '10.0.0.1'), 'a');
  t.equal(picked(router, '10.0.0.2'), '');
  t.strictSame(backends.counts, { destHost: 2, destCIDR: 0, defaultRoute: 1, default: 2 });
  backends.remove(fakes.b);
  backends.remove(fakes.b);
  t.equal(picked(router, 'n'), '');
  backends.reindex(fakes.b);
  t.equal(picked(router, 'n'), '', 'a removed backend is not added by reindex');
  backends.remove(fakes.a);
  t.strictSame(backends.counts, { destHost: 0, destCIDR: 0, defaultRoute: 0, default: 0 });
});

t.test('is ready once the first strategy has a backend', async (t) => {
  const backends = new Backends();
  const hostFirst = new Router(backends, ['destHost', 'default']);
  const anyFirst = new Router(backends, ['default', 'destHost']);
  t.notOk(hostFirst.isReady || anyFirst.isReady);
  backends.add(new FakeBackend('a', 'cidr=10.0.0.0/8'));
  t.strictSame([hostFirst.isReady, anyFirst.isReady], [false, true]);
  backends.add(new FakeBackend('b', 'ipv4=10.0.0.1'));
  t.ok(hostFirst.isReady);
});

t.test('treats two agents with one ID as two backends', async (t) => {
  const backends = new Backends();
  const [one, other] = [new FakeBackend('same', 'host=n'), new FakeBackend('same', 'host=n')];
  backends.add(one);
  backends.add(other);
  const router = new Router(backends, ['destHost']);
  t.equal(router.pick(at('n'), one), other);
  backends.remove(one);
  t.equal(router.pick(at('n')), other);
});

t.test('adds and removes members of a large pool in any order', async (t) => {
  const backends = new Backends();
  const all = Array.from({ length: 1000 }, (_, index) => new FakeBackend(String(index)));
  for (const backend of all) backends.add(backend);
  for (const [index, backend] of all.entries()) {
    if (index % 3 === 0) backends.remove(backend);
    if (index % 3 === 1) {
      backend.isDraining = true;
      backends.refresh(backend);
    }
  }
  const router = new Router(backends, ['default']);
  const wrong = new Set<string>();
  for (let count = 0; count < 3000; count++) {
    const { agentId } = router.pick(at('x'))!;
    if (Number(agentId) % 3 !== 2) wrong.add(agentId);
  }
  t.strictSame([...wrong], [], 'no removed or draining backend was picked');
  t.equal(backends.count, 666);
});

t.test('prefers claims that a certificate covers', async (t) => {
  const { backends, fakes } = fakeBackends({
    owner: 'host=n&cidr=10.1.0.0/16',
    other: 'cidr=10.2.0.0/16',
  });
  const claimed = 'host=n&host=m&cidr=10.1.0.0/16&cidr=10.1.1.0/24';
  const rogue = new FakeBackend('rogue', '', claimed);
  backends.add(rogue);
  const router = new Router(backends, ['destHost', 'destCIDR', 'default']);
  t.equal(picked(router, 'n'), 'owner');
  t.equal(picked(router, '10.1.0.1'), 'owner');
  t.equal(picked(router, 'm'), 'rogue', 'no other backend claims the host');
  t.strictSame(router.matches(at('n')), { strategy: 'destHost', backends: [fakes.owner] });
  failThreeTimes(fakes.owner);
  t.equal(picked(new Router(backends, ['destHost']), 'n'), 'owner', 'though it fails');
  for (const change of ['isDraining', 'isSilent'] as const) {
    fakes.owner[change] = true;
    backends.refresh(fakes.owner);
    t.notMatch(picked(new Router(backends, ['destHost']), 'n'), /rogue/, change);
  }
  t.equal(new Router(backends, ['destHost']).pick(at('n'), fakes.owner), undefined);
  t.equal(backends.counts.destHost, 2);
  backends.remove(fakes.owner);
  t.equal(picked(router, 'n'), 'rogue');
  rogue.claims = claims(claimed, claimed);
  backends.reindex(rogue);
  t.equal(picked(router, 'n'), 'rogue');
  backends.remove(rogue);
  t.strictSame(backends.counts, { destHost: 0, destCIDR: 1, defaultRoute: 0, default: 1 });
  t.equal(router.matches(at('n'))?.strategy, 'default');
});
