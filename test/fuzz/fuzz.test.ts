import t from 'tap';
import { connectHead } from './connect-head-target.ts';
import { type FuzzTarget, fuzz } from './fuzzer.ts';
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

const head = await connectHead();
t.teardown(() => head.close());
for (const target of [...parserTargets, sessionBytes, sessionMoves, head]) bounded(target);
