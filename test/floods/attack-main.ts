/** The attacker's process: `attack-main.js NAME PLACE SECONDS COUNT`, ends with `{"count":N}`. */
import { eventually, startEchoTarget } from '@fairlead/testkit';
import type { AttackPlace, AttackRun } from './attack-run.ts';
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
  // On a busy machine the first connection can take longer than a short attack.
  isOver: () => (performance.now() >= untilMs && run.count > 0) || run.count >= Number(count),
  count: 0,
};
const startedAtMs = performance.now();
// A server can stop to read from an attacker, which then waits without end.
const timeIsUp = new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1_000 + graceMs));
const isEnough = timeIsUp.then(() => eventually('the attack has begun', () => run.count > 0));
await Promise.race([attack(run), isEnough]);
const perSecond = Math.round((run.count * 1_000) / (performance.now() - startedAtMs));
console.log(JSON.stringify({ count: run.count, perSecond }));
process.exit(0);
