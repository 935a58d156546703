import { type Caller, StreamLimits } from '@fairlead/server/internal';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t from 'tap';

const limits = {
  maxStreams: 4,
  maxStreamsPerCaller: 3,
  maxPendingDials: 2,
  maxOpensPerSecond: Number.POSITIVE_INFINITY,
};

const caller = (commonName: string): Caller => ({
  kind: 'mtls',
  commonName,
  organizations: [],
  address: '',
});

/** The limit that the caller runs into. */
function limited(admitted: StreamLimits, reached: string[], name: string): string | undefined {
  t.throws(() => admitted.admit(caller(name)), { code: 'limit_reached' });
  return reached.at(-1);
}

t.test('each limit by its name; room comes back with the end of streams', async (t) => {
  const reached: string[] = [];
  const admitted = new StreamLimits({ ...limits, onLimit: (name) => reached.push(name) });
  const first = admitted.admit(caller('a'));
  const second = admitted.admit(caller('a'));
  t.equal(limited(admitted, reached, 'a'), 'pending_dials');
  first.onDialEnd();
  first.onDialEnd();
  second.onDialEnd();
  const third = admitted.admit(caller('a'));
  third.onDialEnd();
  t.equal(limited(admitted, reached, 'a'), 'streams_per_caller');
  const other = admitted.admit(caller('b'));
  other.onDialEnd();
  t.equal(limited(admitted, reached, 'b'), 'streams');
  first.end();
  admitted.admit(caller('b')).end();
  second.end();
  third.end();
  other.end();
  for (let times = 0; times < 100; times++) admitted.admit(caller('a')).end();
});

t.test('opens a second', async (t) => {
  const time = controlTime(t);
  const reached: string[] = [];
  const onLimit = (name: string) => reached.push(name);
  const admitted = new StreamLimits({ ...limits, maxOpensPerSecond: 5, onLimit });
  const takeAll = () => {
    let taken = 0;
    reached.length = 0;
    while (reached.length === 0 && taken < 100) {
      try {
        admitted.admit(caller('a')).end();
        taken++;
      } catch {
        t.same(reached, ['opens_per_caller']);
      }
    }
    return taken;
  };
  t.equal(takeAll(), 10, 'twice as many at once');
  await time.advance(1_000);
  t.equal(takeAll(), 5, 'a second later');
  admitted.admit(caller('b')).end();
});

t.test('abandoned dials', async (t) => {
  const reached: string[] = [];
  const admitted = new StreamLimits({
    ...limits,
    abandonLimit: { burst: 1, perSecond: 0 },
    onLimit: (name) => reached.push(name),
  });
  const lease = admitted.admit(caller('a'));
  lease.onAbandoned();
  lease.end();
  t.equal(limited(admitted, reached, 'a'), 'abandoned_dials');
  admitted.admit(caller('b')).end();
});
