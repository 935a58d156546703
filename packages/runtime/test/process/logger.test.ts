import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileLog, createLog, createLogger, logLevel } from '@fairlead/runtime/process';
import t from 'tap';
import { memoryLogger } from '../log-lines.ts';

t.test('a line has the level as a word, the time in ISO format and no process ID', async (t) => {
  const { logger, lines } = memoryLogger();
  logger.info({ port: 1 }, 'listening');
  const { time, ...rest } = lines[0] ?? {};
  t.strictSame(rest, { level: 'info', port: 1, msg: 'listening' });
  t.equal(new Date(String(time)).toISOString(), time);
});

t.test('an error keeps its code', async (t) => {
  const { logger, lines } = memoryLogger();
  logger.error({ err: Object.assign(new Error('boom'), { code: 'EBOOM' }) }, 'failed');
  t.match(lines[0], { level: 'error', err: { message: 'boom', code: 'EBOOM' }, msg: 'failed' });
});

t.test('lines below the level are not written', async (t) => {
  const lines: string[] = [];
  const logger = createLogger('warn', { write: (line) => void lines.push(line) });
  logger.info('no');
  logger.warn('yes');
  t.equal(lines.length, 1);
});

t.test("klog's -v selects the level, and -v=4 is info", async (t) => {
  const level = (v: number) => logLevel({ logLevel: undefined, v });
  t.strictSame([0, 1, 3, 4, 5, 6, 10].map(level), [
    ...['info', 'info', 'info', 'info'],
    ...['debug', 'trace', 'trace'],
  ]);
  t.equal(logLevel({ logLevel: 'warn', v: 9 }), 'warn', '--log-level overrides -v');
});

t.test("a peer's text cannot look like a log line or control a terminal", async (t) => {
  const written: string[] = [];
  const logger = createLogger('info', { write: (line) => void written.push(line) });
  const hostile =
    '\n{"level":"info","msg":"forged"}\r\u0000\u001b[2J\u0085\u009b\u2028\u2029\u202e\u2066\ufeff\u007f"\\';
  logger.info({ agent: hostile, claims: [hostile], [hostile]: 1 }, hostile);
  t.equal(written.length, 1);
  const [line = ''] = written;
  t.match(line, /^[ -~]*\n$/, 'one line of printable characters');
  const { agent, claims, msg } = JSON.parse(line);
  t.strictSame(
    [agent, claims, msg],
    [hostile, [hostile], hostile],
    'the parsed line has the original text',
  );
});

t.test("a peer's long text is cut", async (t) => {
  const { logger, lines } = memoryLogger();
  logger.info({ agent: 'x'.repeat(1_000_000), port: 1, err: new Error('y'.repeat(5_000)) }, 'said');
  const { agent, err } = lines[0] as { agent: string; err: { message: string } };
  t.equal(agent, `${'x'.repeat(1_023)}…`);
  t.equal(err.message.length, 5_000, 'messages of errors are not cut');
});

t.test('lines after the close of a log file are ignored', async (t) => {
  const path = join(t.testdir({}), 'log');
  const { logger, close } = createFileLog('--x-log', path);
  logger.info('before');
  let isClosed = false;
  const closing = close().then(() => {
    isClosed = true;
  });
  while (!isClosed) {
    logger.info('meanwhile');
    await new Promise(setImmediate);
  }
  await closing;
  logger.info('after');
  const text = readFileSync(path, 'utf8');
  // t.match() would print the whole file if it failed.
  t.ok(text.includes('"msg":"before"'));
  t.notOk(text.includes('"msg":"after"'));
});

t.test('for a terminal, a line is text: time, level, message, then fields', async (t) => {
  const path = join(t.testdir({}), 'log');
  const settings = { logLevel: undefined, v: 0, logtostderr: false, logFile: path };
  const { logger, close } = createLog({ ...settings, logFormat: 'text' } as Parameters<
    typeof createLog
  >[0]);
  logger.warn({ address: '127.0.0.1:1', names: ['a', 'b'], text: 'two words' }, 'agent refused');
  logger.error({ err: new Error('boom') }, 'failed\u001b[2J');
  await close();
  const [first = '', second = '', ...rest] = readFileSync(path, 'utf8').split('\n');
  t.match(
    first,
    /^\d\d:\d\d:\d\d\.\d{3} WARN {2}agent refused {2}address=127\.0\.0\.1:1 names=\["a","b"\] text="two words"$/,
  );
  t.match(second, /^\d\d:\d\d:\d\d\.\d{3} ERROR failed\\u001b\[2J {2}err=boom$/);
  t.match(rest[0], /^ {4}at /, "the error's stack");
});
