/**
 * Micro-benchmarks of codec and session:
 *
 *     node bench/dist/micro/main.js [--only TEXT] [--seconds N] [--rounds N] [--help]
 *
 * Cases take turns in each round; medians and the range over the rounds are printed.
 */
import { parseArgs } from 'node:util';
import { orExit } from '../or-exit.ts';
import { formatFigure } from '../report/figures.ts';
import { median } from '../results.ts';
import { codecCases } from './codec.ts';
import { sessionCases } from './session.ts';

const usage = `node bench/dist/micro/main.js [OPTIONS]

  --only TEXT       cases whose names hold this (all)
  --seconds N       how long each case runs in a round (1)
  --rounds N        rounds, in which cases take turns; medians are printed (5)
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
  console.error(`micro: --only: no case's name holds ${values.only}`);
  process.exit(2);
}
const found = new Map(cases.map((one): [typeof one, number[]] => [one, []]));
// A first round that does not count compiles the code.
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
