import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { type AdminRoutes, HttpAdmin, healthRoutes, metricsRoutes } from '@fairlead/runtime/admin';
import { Counter, Registry } from 'prom-client';
import t, { type Test } from 'tap';
import { memoryLogger } from '../log-lines.ts';

const healthPort = { listener: 'health', flag: '--health-port', host: '127.0.0.1', port: 0 };
const shortDeadlines = { headTimeoutMs: 100, requestTimeoutMs: 200, idleTimeoutMs: 100 };

async function start(t: Test, routes: AdminRoutes, deadlines?: typeof shortDeadlines) {
  const { logger, lines } = memoryLogger();
  const admin = new HttpAdmin(routes, logger, deadlines);
  const { port } = await admin.listen(healthPort);
  t.teardown(() => admin.close());
  const ask = async (path: string, method = 'GET') => {
    const sent = request({ host: '127.0.0.1', port, path, method, agent: false }).end();
    const [response] = await once(sent, 'response');
    return {
      status: response.statusCode as number,
      headers: response.headers as Record<string, string>,
      body: await text(response),
    };
  };
  return { admin, port, ask, lines };
}

t.test('/healthz answers 200, and /readyz 200 or the reason', async (t) => {
  let reason: string | undefined = 'no agent is connected';
  const { ask, lines } = await start(
    t,
    healthRoutes(() => reason, 500),
  );
  t.match(lines[0], { msg: 'listening', listener: 'health' });
  t.match(await ask('/healthz'), { status: 200, body: 'ok\n' });
  for (const path of ['/ready', '/readyz', '/readyz?verbose']) {
    t.match(await ask(path), { status: 500, body: 'no agent is connected\n' }, path);
  }
  reason = undefined;
  t.match(await ask('/readyz'), { status: 200, body: 'ok\n' });
});

t.test('an agent that is not ready answers 503', async (t) => {
  const { ask } = await start(
    t,
    healthRoutes(() => 'no server', 503),
  );
  t.equal((await ask('/readyz')).status, 503);
  t.equal((await ask('/healthz')).status, 200);
});

t.test('/metrics answers in the text format', async (t) => {
  const registry = new Registry();
  new Counter({ name: 'sample_total', help: 'A sample', registers: [registry] }).inc(3);
  const { ask } = await start(t, metricsRoutes(registry));
  const { status, headers, body } = await ask('/metrics');
  t.equal(status, 200);
  t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
  t.match(body, '\nsample_total 3\n');
});

t.test('answers HEAD without a body, and refuses other methods and paths', async (t) => {
  const { ask } = await start(
    t,
    healthRoutes(() => undefined, 500),
  );
  const head = await ask('/healthz', 'HEAD');
  t.match(head, { status: 200, body: '', headers: { 'content-length': '3' } });
  t.match(await ask('/healthz', 'POST'), { status: 405, headers: { allow: 'GET, HEAD' } });
  t.match(await ask('/'), { status: 404, body: 'not found; try /healthz /ready /readyz\n' });
  t.equal((await ask('/constructor')).status, 404);
});

t.test('an error in a route fails only its own request', async (t) => {
  const { ask, lines } = await start(t, {
    '/metrics': () => Promise.reject(new Error('boom')),
    ...healthRoutes(() => undefined, 500),
  });
  t.match(await ask('/metrics'), { status: 500, body: 'internal error\n' });
  t.match(lines[1], { level: 'error', path: '/metrics', err: { message: 'boom' } });
  t.equal((await ask('/healthz')).status, 200);
});

t.test('closes a silent connection and half a head at the deadline', async (t) => {
  const { port } = await start(
    t,
    healthRoutes(() => undefined, 500),
    shortDeadlines,
  );
  for (const sent of ['', 'GET /healthz HTTP/1.1\r\nHost: x\r\n']) {
    const socket = connect(port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    socket.write(sent);
    const answer = await text(socket);
    t.match(answer, /^(HTTP\/1\.1 408 |$)/, `closed after "${sent.trim()}"`);
  }
});

t.test('closes an idle connection at the deadline', async (t) => {
  const { port } = await start(
    t,
    healthRoutes(() => undefined, 500),
    { headTimeoutMs: 60_000, requestTimeoutMs: 60_000, idleTimeoutMs: 100 },
  );
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  t.match(await text(socket), /^HTTP\/1\.1 200 /);
});

t.test('close() does not wait for open connections', async (t) => {
  const { admin, port } = await start(
    t,
    healthRoutes(() => undefined, 500),
  );
  const socket = connect(port, '127.0.0.1');
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  await admin.close();
  await closed;
});

t.test('a second listener on the same port fails with the port in the error', async (t) => {
  const { port } = await start(t, {});
  const second = new HttpAdmin({}, memoryLogger().logger);
  await t.rejects(second.listen({ ...healthPort, port }), {
    message: /^--health-port: cannot listen on/,
  });
});

t.test('answers a probe during a flood of silent and unread connections', async (t) => {
  // More than the socket buffers of a client that does not read can hold.
  const large = 'x'.repeat(6 * 1024 ** 2);
  const { ask, port } = await start(t, {
    '/healthz': () => ({ status: 200, contentType: 'text/plain', body: 'ok' }),
    '/large': () => ({ status: 200, contentType: 'text/plain', body: large }),
  });
  const join = async (request: string) => {
    const socket = connect(port, '127.0.0.1');
    t.teardown(() => {
      socket.destroy();
    });
    const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve));
    await once(socket, 'connect');
    if (request === '') return;
    socket.write(request);
    // Waits for the first bytes of the answer, or until the server closes.
    await Promise.race([new Promise((resolve) => socket.once('readable', resolve)), closed]);
  };
  const probe = async () => {
    for (let count = 0; count < 10; count++) t.equal((await ask('/healthz')).status, 200);
  };
  const flood = (length: number, request: string) =>
    Promise.all(Array.from({ length }, () => join(request)));
  await flood(150, 'GET /large HTTP/1.1\r\nhost: x\r\n\r\n');
  await probe();
  await flood(300, '');
  await probe();
});
