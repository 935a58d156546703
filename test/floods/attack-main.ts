/** The attacker's process: `attack-main.js NAME PLACE SECONDS COUNT`, ends with `{"count":N}`. */
import type { AttackPlace, AttackRun } from './attack-place.ts';
import { clientAttacks } from './client-attacks.ts';
import { tunnelAttacks } from './tunnel-attacks.ts';

const [name = '', place = '', seconds = '', count = ''] = process.argv.slice(2);
const attack = { ...tunnelAttacks, ...clientAttacks }[name];
if (!attack) throw new Error(`there is no attack ${name}`);
const untilMs = performance.now() + Number(seconds) * 1_000;
const run: AttackRun = {
  place: JSON.parse(place) as AttackPlace,
  isOver: () => performance.now() >= untilMs || run.count >= Number(count),
  count: 0,
};
const startedAtMs = performance.now();
await attack(run);
const perSecond = Math.round((run.count * 1_000) / (performance.now() - startedAtMs));
console.log(JSON.stringify({ count: run.count, perSecond }));
process.exit(0);
