/** The attacker's process: `attack-main.js NAME SERVER SECONDS COUNT`. Prints `{"count":N}` at its end. */
import { eventually, startEchoTarget } from '@fairlead/testkit';
import type { AttackedServer, AttackRun } from './attack-run.ts';
import { clientAttacks } from './client-attacks.ts';
import { tunnelAttacks } from './tunnel-attacks.ts';

/** An attack can run this long after its time is up, since a dead HTTP/2 connection is closed after 5 s. */
const graceMs = 8_000;

const [name = '', server = '', seconds = '', count = ''] = process.argv.slice(2);
const attack = { ...tunnelAttacks, ...clientAttacks }[name];
if (!attack) throw new Error(`unknown attack ${name}`);
const untilMs = performance.now() + Number(seconds) * 1_000;
const echo = await startEchoTarget();
const run: AttackRun = {
  target: `127.0.0.1:${echo.port}`,
  server: JSON.parse(server) as AttackedServer,
  // On a busy machine the first connection can take longer than a short attack.
  isOver: () => (performance.now() >= untilMs && run.count > 0) || run.count >= Number(count),
  count: 0,
};
const startedAtMs = performance.now();
// If the server stops reading, the attack would wait forever.
const timeIsUp = new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1_000 + graceMs));
const hasRun = timeIsUp.then(() => eventually('the attack has begun', () => run.count > 0));
await Promise.race([attack(run), hasRun]);
const perSecond = Math.round((run.count * 1_000) / (performance.now() - startedAtMs));
console.log(JSON.stringify({ count: run.count, perSecond }));
process.exit(0);
