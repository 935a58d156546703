import { createServer } from 'node:net';
import { listen, logListening } from '@fairlead/runtime/net';
import t, { type Test } from 'tap';
import { memoryLogger } from '../log-lines.ts';

const agentPort = { listener: 'agent', flag: '--agent-port', host: '127.0.0.1', port: 0 };

function server(t: Test) {
  const server = createServer();
  t.teardown(() => server.close());
  return server;
}

t.test('returns and logs the port that the system chooses', async (t) => {
  const { logger, lines } = memoryLogger();
  const { port } = await listen(server(t), agentPort, logger);
  t.ok(port > 0);
  t.match(lines, [
    { level: 'info', msg: 'listening', listener: 'agent', address: '127.0.0.1', port },
  ]);
  t.equal(lines.length, 1);
});

t.test('listens on all addresses without a host', async (t) => {
  const { logger } = memoryLogger();
  const { address } = await listen(server(t), { ...agentPort, host: undefined }, logger);
  t.match(address, /^(::|0\.0\.0\.0)$/);
});

t.test('logs a path as a path', async (t) => {
  const { logger, lines } = memoryLogger();
  logListening(logger, 'frontend', { path: '/run/x.sock' });
  t.match(lines, [{ msg: 'listening', listener: 'frontend', path: '/run/x.sock' }]);
});

t.test('the error for a port in use has flag, address and cure', async (t) => {
  const { logger } = memoryLogger();
  const { port } = await listen(server(t), agentPort, logger);
  await t.rejects(listen(server(t), { ...agentPort, port }, logger), {
    name: 'StartupError',
    exitCode: 1,
    message: `--agent-port: cannot listen on 127.0.0.1:${port}: another process uses it. Choose another port or stop that process`,
  });
});

t.test('fails for a foreign address and for an unknown name', async (t) => {
  const { logger, lines } = memoryLogger();
  await t.rejects(listen(server(t), { ...agentPort, host: '192.0.2.1' }, logger), {
    message:
      '--agent-port: cannot listen on 192.0.2.1:0: this machine does not have that address. Check the bind address',
  });
  await t.rejects(listen(server(t), { ...agentPort, host: 'no-such-name.invalid' }, logger), {
    name: 'StartupError',
    message: /cannot be resolved.*Use an IP address/,
  });
  t.strictSame(lines, []);
});

t.test('logs an error after the start', async (t) => {
  const { logger, lines } = memoryLogger();
  const one = server(t);
  await listen(one, agentPort, logger);
  one.emit('error', Object.assign(new Error('too many files'), { code: 'EMFILE' }));
  t.match(lines[1], { level: 'error', listener: 'agent', err: { code: 'EMFILE' } });
});
