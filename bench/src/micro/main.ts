/**
 * Micro-benchmarks of codec and session:
 *
 *     node bench/dist/micro/main.js [--only TEXT] [--seconds N] [--rounds N] [--help]
 *
 * All cases run in each round. The output is the median and the range over the rounds.
 */
import { parseArgs } from 'node:util';
import { orExit } from '../or-exit.ts';
import { formatFigure } from '../report/figures.ts';
import { median } from '../results.ts';
import { codecCases } from './codec.ts';
import { sessionCases } from './session.ts';

const usage = `node bench/dist/micro/main.js [OPTIONS]

  --only TEXT       run the cases whose names contain TEXT (default: all)
  --seconds N       time of each case in a round (default: 1)
  --rounds N        rounds; all cases run in each, and medians are printed (default: 5)
`;

const { values } = orExit('micro', () =>
  parseArgs({
    options: {
      only: { type: 'string', default: '' },
      seconds: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '5' },
      help: { type: 'boolean', default: false },
    },
  }),
);
if (values.help) {
  process.stdout.write(usage);
  process.exit();
}
const durationMs = Number(values.seconds) * 1000;
const rounds = Number(values.rounds);
if (!(durationMs > 0) || !(rounds >= 1)) {
  console.error('micro: --seconds and --rounds must be numbers above 0');
  process.exit(2);
}

const all = [...codecCases(), ...(await sessionCases())];
const cases = all.filter(({ name }) => name.includes(values.only));
if (cases.length === 0) {
  console.error(`micro: --only: ${values.only}: no case has this text in its name`);
  process.exit(2);
}
const found = new Map(cases.map((one): [typeof one, number[]] => [one, []]));
// V8 compiles the code in round 0, which does not count.
for (let round = 0; round <= rounds; round++) {
  for (const [one, rates] of found) {
    const rate = await one.measure(round === 0 ? durationMs / 4 : durationMs);
    if (round > 0) rates.push(rate);
  }
}
for (const [{ name, unit }, rates] of found) {
  const range = `${formatFigure(Math.min(...rates))}..${formatFigure(Math.max(...rates))}`;
  console.log(`${name.padEnd(48)} ${formatFigure(median(rates)).padStart(12)} ${unit} (${range})`);
}
process.exit();
