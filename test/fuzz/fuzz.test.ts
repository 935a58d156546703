import { TunnelError } from '@fairlead/protocol';
import { FrameDecoder, type FrameSink } from '@fairlead/protocol/internal';
import t from 'tap';
import { connectHead } from './connect-head-target.ts';
import { FuzzFailure, type FuzzTarget, fuzz } from './fuzzer.ts';
import { parserTargets } from './parser-targets.ts';
import { sessionBytes, sessionMoves } from './session-target.ts';

/** The same in every run; `npm run fuzz` tries others, for longer. */
const seed = 20_261_124;
/** For each target, whichever comes first: a slow machine tries less, and takes no longer. */
const maxExecutions = 5_000;
const maxMs = 1_500;

function bounded(target: FuzzTarget): void {
  t.test(`${target.name}, seed ${seed}`, async (t) => {
    const untilMs = performance.now() + maxMs;
    const { executions, found } = await fuzz(
      target,
      seed,
      (executions) => executions >= maxExecutions || performance.now() > untilMs,
    );
    t.pass(`${executions} inputs, ${found.length} of them reached new code`);
  });
}

t.test('a bug behind several checks is found, with the input that shows it', async (t) => {
  // From a RESET to an OPEN: another type, a port that is not 0, and a host as long as it says.
  const planted: FuzzTarget = {
    name: 'planted',
    seeds: [Buffer.from('070000020000000100220000', 'hex')],
    run(input) {
      const sink = new Proxy({} as FrameSink, {
        get: (_, name) => () => {
          if (name === 'onOpen') throw new Error('planted');
        },
      });
      try {
        new FrameDecoder(sink).push(input);
      } catch (error) {
        if (!(error instanceof TunnelError)) throw error;
      }
    },
  };
  const fuzzing = fuzz(planted, seed, (executions) => executions > 100_000);
  const failure = await fuzzing.then(
    () => undefined,
    (error: unknown) => error,
  );
  t.type(failure, FuzzFailure);
  t.match((failure as FuzzFailure).message, /^planted fails for [0-9a-f]+ \(hex\)\nError: planted/);
});

const head = await connectHead();
t.teardown(() => head.close());
for (const target of [...parserTargets, sessionBytes, sessionMoves, head]) bounded(target);
