import { type Lease, LeaseWatch } from '@fairlead/kubernetes';
import { ApiStatus, eventually } from '@fairlead/testkit';
import {
  type ControlledTime,
  controlTime,
  passTimeUntil as passTimeOf,
} from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';
import { type Fixture, leaseOf, namespace, start } from '../api-fixture.ts';

/** Advances time in steps of half a second until the check is true. */
const passTimeUntil = (time: ControlledTime, what: string, check: () => boolean) =>
  passTimeOf(time, what, check, { stepMs: 500 });

interface Watched extends Fixture {
  readonly watch: LeaseWatch;
  /** Names of the valid Leases, one entry per call of onChange. */
  readonly told: string[];
}

async function startWatch(t: Test, before: readonly object[] = []): Promise<Watched> {
  const fixture = await start(t);
  for (const lease of before) fixture.api.leases.create(namespace, lease);
  const told: string[] = [];
  const watch = new LeaseWatch({
    leases: fixture.leases,
    labelSelector: 'k8s-app=konnectivity-server',
    logger: fixture.logger,
    onChange: (valid: readonly Lease[]) => {
      told.push(
        valid
          .map(({ metadata }) => metadata.name)
          .sort()
          .join(' '),
      );
    },
  });
  watch.start();
  t.teardown(() => watch.close());
  return { ...fixture, watch, told };
}

const last = ({ told }: Watched) => told.at(-1);

t.test('reports existing, new and deleted Leases', async (t) => {
  const watched = await startWatch(t, [leaseOf('a'), leaseOf('old', 30, 60_000)]);
  const { api, watch, told } = watched;
  await eventually('a watch', () => api.watchCount === 1);
  t.same(told, ['a']);
  t.same(
    watch.expired.map(({ metadata }) => metadata.name),
    ['old'],
  );
  api.leases.create(namespace, leaseOf('b'));
  api.leases.create(namespace, { metadata: { name: 'stranger' }, spec: {} });
  api.leases.create('elsewhere', leaseOf('c'));
  await eventually('both leases hold', () => last(watched) === 'a b');
  api.leases.update(namespace, 'b', leaseOf('b'));
  api.leases.delete(namespace, 'a');
  await eventually('one lease holds', () => last(watched) === 'b');
  t.same(told, ['a', 'a b', 'b'], 'a renewal is no news');
  t.equal(api.count('GET list'), 1);
});

t.test('reports an empty list', async (t) => {
  const watched = await startWatch(t);
  await eventually('no lease holds', () => last(watched) === '');
});

t.test('after a regular end, the watch continues from the bookmark', async (t) => {
  const watched = await startWatch(t, [leaseOf('a')]);
  const { api } = watched;
  await eventually('a watch', () => api.watchCount === 1);
  api.leases.create('elsewhere', leaseOf('c'));
  api.bookmark();
  api.endWatches();
  await eventually('a second watch', () => api.count('GET watch') === 2);
  const [, second] = api.requests.filter(({ url }) => url.searchParams.has('watch'));
  t.equal(second?.url.searchParams.get('resourceVersion'), String(api.leases.version));
  t.equal(second?.url.searchParams.get('allowWatchBookmarks'), 'true');
  api.leases.create(namespace, leaseOf('b'));
  await eventually('both leases hold', () => last(watched) === 'a b');
  t.equal(api.count('GET list'), 1);
});

t.test('410 Gone, in a watch or as its answer, causes a new list', async (t) => {
  const time = controlTime(t);
  const watched = await startWatch(t, [leaseOf('a', 3_600)]);
  const { api, logged } = watched;
  await eventually('a watch', () => api.watchCount === 1);
  api.compact();
  await eventually(
    'a new list and watch',
    () => api.count('GET list') === 2 && api.watchCount === 1,
  );

  // A deletion in between shows only as an absence in the list.
  let isGone = true;
  api.fault = ({ url }) => {
    if (!isGone || !url.searchParams.has('watch')) return undefined;
    isGone = false;
    api.leases.delete(namespace, 'a');
    return new ApiStatus(410, 'Expired', 'too old resource version');
  };
  api.endWatches();
  // An empty watch is followed by a pause.
  await passTimeUntil(time, 'no lease holds', () => last(watched) === '');
  t.equal(api.count('GET list'), 3);
  t.notMatch(logged, ['cannot watch leases, known leases stay valid']);
});

t.test('a lease that is not renewed expires', async (t) => {
  const time = controlTime(t);
  const watched = await startWatch(t, [leaseOf('a', 3_600), leaseOf('b', 30)]);
  const { api, told } = watched;
  await eventually('a watch', () => api.watchCount === 1);
  await time.advance(29_900);
  t.same(told, ['a b']);
  await passTimeUntil(time, 'one lease holds', () => last(watched) === 'a');
  t.equal(api.count('GET list'), 2, 'only after a new list');
});

t.test('no lease expires while the API is down, nor before it could be renewed', async (t) => {
  const time = controlTime(t);
  const watched = await startWatch(t, [leaseOf('a'), leaseOf('b')]);
  const { api, told, logged, watch } = watched;
  await eventually('a watch', () => api.watchCount === 1);
  await api.pause();
  await eventually('the failure in the log', () =>
    logged.includes('cannot watch leases, known leases stay valid'),
  );
  // Longer than any of them lasts.
  await time.advance(40_000);
  t.same(told, ['a b']);
  t.same(watch.expired, []);
  await api.resume();
  await passTimeUntil(time, 'a watch again', () => logged.includes('watching leases again'));
  t.same(told, ['a b'], 'no holder was able to renew its lease');
  api.leases.update(namespace, 'a', leaseOf('a', 3_600));
  await passTimeUntil(time, 'one lease holds', () => last(watched) === 'a');
  t.same(
    watch.expired.map(({ metadata }) => metadata.name),
    ['b'],
  );
});

t.test('a refusal of the API is logged once, and the request is retried', async (t) => {
  const time = controlTime(t);
  const fixture = await start(t);
  fixture.api.fault = () => new ApiStatus(403, 'Forbidden', 'leases is forbidden');
  const told: number[] = [];
  const watch = new LeaseWatch({
    leases: fixture.leases,
    labelSelector: '',
    logger: fixture.logger,
    onChange: ({ length }) => told.push(length),
  });
  watch.start();
  t.teardown(() => watch.close());
  await passTimeUntil(time, 'more requests', () => fixture.api.count('GET list') > 2);
  t.same(fixture.logged, ['cannot watch leases, known leases stay valid']);
  fixture.api.fault = undefined;
  await passTimeUntil(time, 'a list', () => told.length === 1);
});
