/** The attacker's process: `attack-main.js NAME PLACE SECONDS COUNT`, ends with `{"count":N}`. */
import { startEchoTarget } from '@fairlead/testkit';
import type { AttackPlace, AttackRun } from './attack-place.ts';
import { clientAttacks } from './client-attacks.ts';
import { tunnelAttacks } from './tunnel-attacks.ts';

/** An attack ends by itself within this time of its end: a dead HTTP/2 connection is closed after five seconds. */
const graceMs = 8_000;

const [name = '', place = '', seconds = '', count = ''] = process.argv.slice(2);
const attack = { ...tunnelAttacks, ...clientAttacks }[name];
if (!attack) throw new Error(`there is no attack ${name}`);
const untilMs = performance.now() + Number(seconds) * 1_000;
const echo = await startEchoTarget();
const run: AttackRun = {
  target: `127.0.0.1:${echo.port}`,
  place: JSON.parse(place) as AttackPlace,
  isOver: () => performance.now() >= untilMs || run.count >= Number(count),
  count: 0,
};
const startedAtMs = performance.now();
// A server may stop to read from an attacker, which then waits for ever.
const timeIsUp = new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1_000 + graceMs));
await Promise.race([attack(run), timeIsUp]);
const perSecond = Math.round((run.count * 1_000) / (performance.now() - startedAtMs));
console.log(JSON.stringify({ count: run.count, perSecond }));
process.exit(0);
