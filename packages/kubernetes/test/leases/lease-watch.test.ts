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
  /** Names of the valid Leases in each call of onChange. */
  readonly changes: string[];
}

async function startWatch(t: Test, before: readonly object[] = []): Promise<Watched> {
  const fixture = await start(t);
  for (const lease of before) fixture.api.leases.create(namespace, lease);
  const changes: string[] = [];
  const watch = new LeaseWatch({
    leases: fixture.leases,
    labelSelector: 'k8s-app=konnectivity-server',
    logger: fixture.logger,
    onChange: (valid: readonly Lease[]) => {
      changes.push(
        valid
          .map(({ metadata }) => metadata.name)
          .sort()
          .join(' '),
      );
    },
  });
  watch.start();
  t.teardown(() => watch.close());
  return { ...fixture, watch, changes };
}

const last = ({ changes }: Watched) => changes.at(-1);

t.test('reports existing, new and deleted Leases', async (t) => {
  const watched = await startWatch(t, [leaseOf('a'), leaseOf('old', 30, 60_000)]);
  const { api, watch, changes } = watched;
  await eventually('a watch', () => api.watchCount === 1);
  t.same(changes, ['a']);
  t.same(
    watch.expired.map(({ metadata }) => metadata.name),
    ['old'],
  );
  api.leases.create(namespace, leaseOf('b'));
  api.leases.create(namespace, { metadata: { name: 'unlabeled' }, spec: {} });
  api.leases.create('elsewhere', leaseOf('c'));
  await eventually('both leases are valid', () => last(watched) === 'a b');
  api.leases.update(namespace, 'b', leaseOf('b'));
  api.leases.delete(namespace, 'a');
  await eventually('one lease is valid', () => last(watched) === 'b');
  t.same(changes, ['a', 'a b', 'b'], 'a renewal is not a change');
  t.equal(api.count('GET list'), 1);
});

t.test('reports an empty list', async (t) => {
  const watched = await startWatch(t);
  await eventually('no lease is valid', () => last(watched) === '');
});

t.test('after its regular end, the watch continues from the bookmark', async (t) => {
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
  await eventually('both leases are valid', () => last(watched) === 'a b');
  t.equal(api.count('GET list'), 1);
});

t.test('410 Gone, as an event or as the answer, causes a new list', async (t) => {
  const time = controlTime(t);
  const watched = await startWatch(t, [leaseOf('a', 3_600)]);
  const { api, logged } = watched;
  await eventually('a watch', () => api.watchCount === 1);
  api.compact();
  await eventually(
    'a new list and watch',
    () => api.count('GET list') === 2 && api.watchCount === 1,
  );

  // The watch misses this deletion, so only the list shows it.
  let isGone = true;
  api.fault = ({ url }) => {
    if (!isGone || !url.searchParams.has('watch')) return undefined;
    isGone = false;
    api.leases.delete(namespace, 'a');
    return new ApiStatus(410, 'Expired', 'too old resource version');
  };
  api.endWatches();
  // The client pauses after a watch without events.
  await passTimeUntil(time, 'no lease is valid', () => last(watched) === '');
  t.equal(api.count('GET list'), 3);
  t.notMatch(logged, ['cannot watch leases, known leases stay valid']);
});

t.test('a lease that is not renewed expires', async (t) => {
  const time = controlTime(t);
  const watched = await startWatch(t, [leaseOf('a', 3_600), leaseOf('b', 30)]);
  const { api, changes } = watched;
  await eventually('a watch', () => api.watchCount === 1);
  await time.advance(29_900);
  t.same(changes, ['a b']);
  await passTimeUntil(time, 'one lease is valid', () => last(watched) === 'a');
  t.equal(api.count('GET list'), 2, 'the lease expired after a new list');
});

t.test('no lease expires while the API is down, or before it can be renewed again', async (t) => {
  const time = controlTime(t);
  const watched = await startWatch(t, [leaseOf('a'), leaseOf('b')]);
  const { api, changes, logged, watch } = watched;
  await eventually('a watch', () => api.watchCount === 1);
  await api.pause();
  await eventually('the failure in the log', () =>
    logged.includes('cannot watch leases, known leases stay valid'),
  );
  // Longer than the duration of the leases.
  await time.advance(40_000);
  t.same(changes, ['a b']);
  t.same(watch.expired, []);
  await api.resume();
  await passTimeUntil(time, 'a watch again', () => logged.includes('watching leases again'));
  t.same(changes, ['a b'], 'no holder could renew its lease');
  api.leases.update(namespace, 'a', leaseOf('a', 3_600));
  await passTimeUntil(time, 'one lease is valid', () => last(watched) === 'a');
  t.same(
    watch.expired.map(({ metadata }) => metadata.name),
    ['b'],
  );
});

t.test('a refusal of the API is logged once, and the request is retried', async (t) => {
  const time = controlTime(t);
  const fixture = await start(t);
  fixture.api.fault = () => new ApiStatus(403, 'Forbidden', 'leases is forbidden');
  const changes: number[] = [];
  const watch = new LeaseWatch({
    leases: fixture.leases,
    labelSelector: '',
    logger: fixture.logger,
    onChange: ({ length }) => changes.push(length),
  });
  watch.start();
  t.teardown(() => watch.close());
  await passTimeUntil(time, 'more requests', () => fixture.api.count('GET list') > 2);
  t.same(fixture.logged, ['cannot watch leases, known leases stay valid']);
  fixture.api.fault = undefined;
  await passTimeUntil(time, 'a list', () => changes.length === 1);
});
