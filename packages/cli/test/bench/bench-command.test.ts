import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { makeTemporaryDirectory, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { runCommand } from '../run-fairlead.ts';

const signals = ['SIGINT', 'SIGTERM'] as const;

/** Starts a front end that dials the target itself, without a tunnel. */
async function startFrontEnd(t: Test): Promise<string> {
  const directory = await makeTemporaryDirectory();
  const server = createServer();
  server.on('connect', (request, client) => {
    const { hostname, port } = new URL(`tcp://${request.url}`);
    const target = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(target).pipe(client);
    });
    target.on('error', () => client.destroy());
    client.on('error', () => target.destroy());
  });
  const path = `${directory.path}/uds`;
  server.listen(path);
  await once(server, 'listening');
  t.teardown(async () => {
    server.close();
    await directory.close();
  });
  return path;
}

t.test('`fairlead bench` removes its signal listeners', async (t) => {
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const path = await startFrontEnd(t);
  const before = signals.map((signal) => process.listeners(signal));
  const bench = ['bench', '--duration=100ms', '--warm-up=0s', '--quiet'];
  const target = `--target=tcp://${echo.host}:${echo.port}`;
  const done = await runCommand([...bench, `--proxy=unix:${path}`, target]);
  t.match(done.stdout, /^messages/m, done.stderr);
  const failed = await runCommand([...bench, `--proxy=unix:${path}.gone`, target]);
  t.equal(failed.code, 1, failed.stderr);
  t.strictSame(
    signals.map((signal) => process.listeners(signal)),
    before,
  );
});
