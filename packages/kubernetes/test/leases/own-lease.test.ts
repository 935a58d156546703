import { LeaseCuller, LeaseWatch, OwnLease } from '@fairlead/kubernetes';
import { ApiStatus, eventually, type StoredLease } from '@fairlead/testkit';
import t from 'tap';
import { type Fixture, labels, leaseOf, namespace, start } from '../api-fixture.ts';

const name = 'konnectivity-proxy-server-s1';

function own({ leases, logger }: Fixture, renewIntervalMs = 60_000): OwnLease {
  return new OwnLease({
    leases,
    name,
    holder: 's1',
    durationSeconds: 30,
    renewIntervalMs,
    labels,
    annotations: { 'fairlead/agent-address': '10.0.0.1:8091' },
    logger,
  });
}

const stored = ({ api }: Fixture): StoredLease | undefined =>
  api.leases.all(namespace).find(({ metadata }) => metadata.name === name);

t.test('publishes, renews and deletes the lease', async (t) => {
  const fixture = await start(t);
  const lease = own(fixture, 50);
  lease.start();
  await eventually('the lease is stored', () => stored(fixture) !== undefined);
  const first = stored(fixture);
  t.match(first, {
    metadata: { labels, annotations: { 'fairlead/agent-address': '10.0.0.1:8091' } },
    spec: { holderIdentity: 's1', leaseDurationSeconds: 30 },
  });
  await eventually('three renewals', () => fixture.api.count('PUT lease') > 2);
  const later = stored(fixture);
  t.ok(later!.spec.renewTime! > first!.spec.renewTime!);
  t.equal(later!.spec.acquireTime, first!.spec.acquireTime);
  t.equal(fixture.api.count('GET lease'), 1, 'the lease is read once');
  await lease.remove();
  t.equal(stored(fixture), undefined);
  t.same(fixture.logged, ['lease published', 'lease deleted']);
});

t.test("takes over an existing lease, and keeps other writers' fields", async (t) => {
  const fixture = await start(t);
  const before = leaseOf(name, 30, 60_000) as { metadata: object };
  const metadata = { ...before.metadata, annotations: { note: 'x' } };
  fixture.api.leases.create(namespace, { ...before, metadata });
  const lease = own(fixture);
  lease.start();
  await eventually('the lease is published', () => fixture.logged.includes('lease published'));
  t.match(stored(fixture), {
    metadata: { uid: 'uid-1', annotations: { note: 'x', 'fairlead/agent-address': /./ } },
    spec: { holderIdentity: 's1' },
  });
  await lease.remove();
});

t.test('reads the lease again after a conflict, without a warning', async (t) => {
  const fixture = await start(t);
  const lease = own(fixture, 50);
  lease.start();
  await eventually('the lease is stored', () => stored(fixture) !== undefined);
  const changed = stored(fixture)!;
  const annotations = { ...changed.metadata.annotations, note: 'y' };
  const metadata = { ...changed.metadata, annotations, resourceVersion: '' };
  fixture.api.leases.update(namespace, name, { ...changed, metadata });
  const renewed = fixture.api.count('PUT lease');
  await eventually('two renewals more', () => fixture.api.count('PUT lease') > renewed + 1);
  t.equal(fixture.api.count('GET lease'), 2);
  t.match(stored(fixture), { metadata: { annotations: { note: 'y' } } });
  fixture.api.leases.delete(namespace, name);
  await eventually('the lease is stored', () => stored(fixture) !== undefined);
  t.same(fixture.logged, ['lease published']);
  await lease.remove();
});

t.test('renews the lease when the API is available again', async (t) => {
  const fixture = await start(t);
  await fixture.api.pause();
  const lease = own(fixture);
  lease.start();
  await eventually('a failed renewal in the log', () =>
    fixture.logged.includes('cannot renew lease'),
  );
  await fixture.api.resume();
  await eventually('the lease is stored', () => stored(fixture) !== undefined);
  await eventually('a renewal in the log', () => fixture.logged.includes('lease is renewed again'));
  await fixture.api.pause();
  await lease.remove();
  t.equal(fixture.logged.at(-1), 'cannot delete lease, it stays until it expires');
});

t.test('does not delete the lease of a successor with the same name', async (t) => {
  const fixture = await start(t);
  const [lease, successor] = [own(fixture), own(fixture)];
  lease.start();
  await eventually('the lease is stored', () => stored(fixture) !== undefined);
  await eventually('one line in the log', () => fixture.logged.length === 1);
  successor.start();
  await eventually('two lines in the log', () => fixture.logged.length === 2);
  await lease.remove();
  t.ok(stored(fixture));
  await successor.remove();
  t.equal(stored(fixture), undefined);
});

t.test('renewSoon() publishes a deleted lease again', async (t) => {
  const fixture = await start(t);
  const lease = own(fixture);
  lease.start();
  await eventually('one line in the log', () => fixture.logged.length === 1);
  fixture.api.leases.delete(namespace, name);
  lease.renewSoon();
  await eventually('the lease is stored', () => stored(fixture) !== undefined);
  await lease.remove();
});

t.test('deletes expired leases unless they were renewed', async (t) => {
  const fixture = await start(t);
  const { api, leases, logger, logged } = fixture;
  for (const [index, each] of ['a', 'b', 'c', 'd'].entries()) {
    api.leases.create(namespace, leaseOf(each, 30, index === 0 ? 0 : 60_000));
  }
  const watch = new LeaseWatch({ leases, labelSelector: '', logger, onChange() {} });
  watch.start();
  t.teardown(() => watch.close());
  await eventually('a watch', () => api.watchCount === 1);
  const { expired } = watch;
  api.leases.update(namespace, 'b', leaseOf('b'));
  api.leases.delete(namespace, 'd');
  let culled = 0;
  const culler = new LeaseCuller({ leases, logger, onCulled: () => culled++ });
  await culler.cull(expired);
  t.same(
    api.leases.all(namespace).map(({ metadata }) => metadata.name),
    ['a', 'b'],
  );
  t.equal(culled, 1);
  api.leases.create(namespace, leaseOf('e', 30, 60_000));
  await eventually('one lease expired', () => watch.expired.length === 1);
  api.fault = () => new ApiStatus(403, 'Forbidden', 'no');
  await culler.cull(watch.expired);
  t.match(logged, ['expired lease deleted', 'cannot delete expired lease']);
});
