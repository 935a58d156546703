import { createLogger, logLevel } from '@fairlead/runtime';
import t from 'tap';
import { memoryLogger } from './log-lines.ts';

t.test('a line: level as a word, ISO time, no process noise', async (t) => {
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

t.test('below the level nothing is written', async (t) => {
  const lines: string[] = [];
  const logger = createLogger('warn', { write: (line) => void lines.push(line) });
  logger.info('no');
  logger.warn('yes');
  t.equal(lines.length, 1);
});

t.test("klog's verbosity: a default manifest's -v=4 is info", async (t) => {
  const level = (v: number) => logLevel({ logLevel: undefined, v });
  t.strictSame([0, 1, 3, 4, 5, 6, 10].map(level), [
    ...['info', 'info', 'info', 'info'],
    ...['debug', 'trace', 'trace'],
  ]);
  t.equal(logLevel({ logLevel: 'warn', v: 9 }), 'warn', '--log-level overrides -v');
});
