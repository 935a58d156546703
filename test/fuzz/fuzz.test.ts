import { TunnelError } from '@fairlead/protocol';
import { FrameDecoder, type FrameSink } from '@fairlead/protocol/internal';
import t from 'tap';
import { connectHead } from './connect-head-target.ts';
import { corpusOf, FuzzFailure, type FuzzTarget, fuzz } from './fuzzer.ts';
import { http2Targets } from './http2-targets.ts';
import { parserTargets } from './parser-targets.ts';
import { sessionBytes, sessionMoves } from './session-target.ts';

/** The same in every run. `npm run fuzz` uses other seeds. */
const seed = 20_261_124;
/** Each target gets this many inputs, or fewer if `maxMs` have passed and `minMutants` were tested. */
const maxExecutions = 5_000;
const maxMs = 1_500;
const minMutants = 500;

function bounded(target: FuzzTarget): void {
  t.test(`${target.name} withstands its corpus and mutations of it, seed ${seed}`, async (t) => {
    const inputs = corpusOf(target);
    t.ok(inputs.length > 0, `${inputs.length} inputs in the corpus`);
    const minExecutions = inputs.length + minMutants;
    let run = 0;
    const counted: FuzzTarget = {
      ...target,
      async run(input) {
        await target.run(input);
        run += 1;
      },
    };
    const untilMs = performance.now() + maxMs;
    const { executions, found, coveredChars } = await fuzz(
      counted,
      seed,
      (executions) =>
        executions >= Math.max(maxExecutions, minExecutions) ||
        (executions >= minExecutions && performance.now() > untilMs),
    );
    t.equal(run, executions, 'the target ran each input to its end');
    t.ok(
      executions >= minExecutions,
      `${executions} inputs, ${found.length} of them reached new code`,
    );
    t.ok(coveredChars > 0, `${coveredChars} characters of the packages' code ran`);
  });
}

t.test('finds a bug behind several checks, and reports the input', async (t) => {
  // To turn the RESET into an OPEN takes another type, a port other than 0, and a correct host length.
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
for (const target of [...parserTargets, ...http2Targets, sessionBytes, sessionMoves, head])
  bounded(target);
