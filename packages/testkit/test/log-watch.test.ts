import { LogWatch } from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t from 'tap';

function write(log: LogWatch, msg: string, fields: object = {}): void {
  log.write(`${JSON.stringify({ level: 'info', msg, ...fields })}\n`);
}

t.test('finds earlier and later lines', async (t) => {
  const log = new LogWatch();
  write(log, 'joined', { agent: 'one' });
  t.match(await log.line('joined'), { agent: 'one' });
  const second = log.line(/^join/, ({ agent }) => agent === 'two');
  const third = log.lineAfter(2, 'joined');
  write(log, 'joined', { agent: 'two' });
  write(log, 'joined', { agent: 'three' });
  t.match(await second, { agent: 'two' });
  t.match(await third, { agent: 'three' });
  t.equal(log.of('joined').length, 3);
  t.equal(log.written.length, 3);
});

t.test('until() returns the result of the check, and throws its error', async (t) => {
  const log = new LogWatch();
  const counted = log.until('two lines', () => log.lines.length === 2 && 'two');
  const broken = log.until('no line', () => {
    if (log.lines.length > 0) throw new Error('a line');
  });
  write(log, 'first');
  write(log, 'second');
  t.equal(await counted, 'two');
  await t.rejects(broken, { message: 'a line' });
});

t.test('a wait times out by the real clock, and its error has the last lines', async (t) => {
  const log = new LogWatch();
  write(log, 'another line');
  controlTime(t);
  await t.rejects(
    log.until('the state is reached', () => false, { timeout: 5 }),
    { message: /^not within 5 ms: the state is reached; the log's last lines:\n.*"another line"/ },
  );
  await t.rejects(
    new LogWatch().until('a line', () => false, { timeout: 5 }),
    {
      message: /\(no line\)$/,
    },
  );
});
