import { createServer } from 'node:net';
import { listen, logListening } from '@fairlead/runtime/net';
import { StartupError } from '@fairlead/runtime/process';
import t, { type Test } from 'tap';
import { memoryLogger } from '../log-lines.ts';

const place = { listener: 'agent', flag: '--agent-port', host: '127.0.0.1', port: 0 };

function server(t: Test) {
  const server = createServer();
  t.teardown(() => server.close());
  return server;
}

t.test('port 0: the chosen port is returned and logged', async (t) => {
  const { logger, lines } = memoryLogger();
  const { port } = await listen(server(t), place, logger);
  t.ok(port > 0);
  t.match(lines, [
    { level: 'info', msg: 'listening', listener: 'agent', address: '127.0.0.1', port },
  ]);
  t.equal(lines.length, 1);
});

t.test('without a host, listens on all addresses', async (t) => {
  const { logger } = memoryLogger();
  const { address } = await listen(server(t), { ...place, host: undefined }, logger);
  t.match(address, /^(::|0\.0\.0\.0)$/);
});

t.test('a path is logged as a path', async (t) => {
  const { logger, lines } = memoryLogger();
  logListening(logger, 'frontend', { path: '/run/x.sock' });
  t.match(lines, [{ msg: 'listening', listener: 'frontend', path: '/run/x.sock' }]);
});

t.test('a port in use: one line with flag, address and cure, exit code 1', async (t) => {
  const { logger } = memoryLogger();
  const { port } = await listen(server(t), place, logger);
  await t.rejects(listen(server(t), { ...place, port }, logger), {
    name: 'StartupError',
    exitCode: 1,
    message: `--agent-port: cannot listen on 127.0.0.1:${port}: another process uses it. Choose another port or stop that process`,
  });
});

t.test('an address that the machine does not have, and a name that does not exist', async (t) => {
  const { logger, lines } = memoryLogger();
  await t.rejects(listen(server(t), { ...place, host: '192.0.2.1' }, logger), {
    message:
      '--agent-port: cannot listen on 192.0.2.1:0: this machine does not have that address. Check the bind address',
  });
  await t.rejects(
    listen(server(t), { ...place, host: 'no-such-name.invalid' }, logger),
    StartupError,
  );
  t.strictSame(lines, []);
});

t.test('an error after the start is logged and changes nothing else', async (t) => {
  const { logger, lines } = memoryLogger();
  const one = server(t);
  await listen(one, place, logger);
  one.emit('error', Object.assign(new Error('too many files'), { code: 'EMFILE' }));
  t.match(lines[1], { level: 'error', listener: 'agent', err: { code: 'EMFILE' } });
});
