/**
 * Fuzzes for the given time, and adds inputs that reach new code to `test/fuzz/corpus`:
 * `npm run fuzz -- [--seconds=60] [--seed=N] [TARGET...]`.
 */
import { parseArgs } from 'node:util';
import { connectHead } from './connect-head-target.ts';
import { FuzzFailure, type FuzzTarget, fuzz, keep } from './fuzzer.ts';
import { http2Targets } from './http2-targets.ts';
import { parserTargets } from './parser-targets.ts';
import { sessionBytes, sessionMoves } from './session-target.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } },
});
const seed = Number(values.seed ?? Date.now() % 2 ** 32);
const head = await connectHead();
const all: FuzzTarget[] = [...parserTargets, ...http2Targets, sessionBytes, sessionMoves, head];
const chosen = all.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
if (chosen.length === 0) {
  console.error(`unknown target; the targets are ${all.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const msEach = (Number(values.seconds) * 1_000) / chosen.length;
for (const target of chosen) {
  const untilMs = performance.now() + msEach;
  try {
    const result = await fuzz(target, seed, () => performance.now() > untilMs);
    for (const input of result.found) keep(target, input);
    const { executions, found, coveredChars } = result;
    console.log(
      `${target.name}: seed ${seed}, ${executions} inputs, ${found.length} new, ${coveredChars} characters of code`,
    );
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error;
    // In the corpus, the input becomes a regression test.
    keep(target, error.input);
    console.error(`seed ${seed}: ${error.message}`);
    process.exitCode = 1;
  }
}
await head.close();
