import { latestTurnMs, noteTurn } from '@fairlead/protocol/internal';
import t from 'tap';

function work(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

/** The next turn of the event loop, after a real wait for events. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

t.test('a busy turn is measured', async (t) => {
  await turn();
  noteTurn();
  work(40);
  await new Promise(setImmediate);
  t.ok(latestTurnMs() >= 35, `${latestTurnMs()} ms`);
});

t.test('much work in many turns that nobody noted is not one long turn', async (t) => {
  noteTurn();
  await new Promise(setImmediate);
  for (let count = 0; count < 100; count++) {
    await turn();
    work(2);
  }
  const startedAtMs = performance.now();
  await turn();
  noteTurn();
  await new Promise(setImmediate);
  // As long as this turn was, and not the 200 ms of work before it.
  const longestMs = performance.now() - startedAtMs + 10;
  t.ok(latestTurnMs() < longestMs, `${latestTurnMs()} ms, at most ${longestMs} ms`);
});
