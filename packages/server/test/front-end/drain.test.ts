import { once } from 'node:events';
import { connect } from 'node:net';
import { TunnelError } from '@fairlead/protocol';
import {
  connectHead,
  connectThrough,
  Http2ConnectClient,
  openFrontEnd,
  readText,
  startEchoTarget,
} from '@fairlead/testkit';
import t from 'tap';
import { PendingDial, startFrontEnd, startTunnel } from './front-end-fixture.ts';

t.test('drain: open streams continue, and all other connections are closed', async (t) => {
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const target = `127.0.0.1:${echo.port}`;
  const { frontEnd, uds, tls } = await startFrontEnd(t, await startTunnel(t));
  const opened = [];
  for (const via of [uds, tls]) {
    const http1 = await connectThrough({ via, target });
    const client = await Http2ConnectClient.open(via);
    t.teardown(() => client.close());
    const http2 = await client.connect(target);
    const idle = await Http2ConnectClient.open(via);
    const silent = await openFrontEnd(via);
    const half = await openFrontEnd(via);
    half.write('CONNECT ');
    t.teardown(() => {
      silent.destroy();
      half.destroy();
    });
    const answers = { silent: readText(silent), half: readText(half) };
    opened.push({ via, http1, http2, client, idle, answers });
  }
  // When the PINGs are answered, the server has read everything that was sent before.
  for (const { client } of opened) await new Promise((resolve) => client.session.ping(resolve));
  for (const { http1 } of opened) {
    http1.socket.write('before');
    await once(http1.socket, 'readable');
  }
  t.equal(frontEnd.activeStreams, 4);

  let isDrained = false;
  const idleClosed = opened.map(({ idle }) => once(idle.session, 'close'));
  const drained = frontEnd.drain().then(() => {
    isDrained = true;
  });
  await Promise.all(idleClosed);
  for (const { via, answers, client } of opened) {
    t.equal(await answers.silent, '');
    t.match(await answers.half, /^HTTP\/1\.1 503 .*shutting_down/s);
    await t.rejects(client.connect(target), 'GOAWAY was sent');
    const socket = 'path' in via ? connect(via.path) : connect(via.port, via.host);
    await t.rejects(once(socket, 'connect'), 'the listener is closed');
  }
  t.notOk(isDrained);

  for (const { http1, http2 } of opened) {
    http1.socket.end(' and after');
    http2.stream.end('still open');
    t.equal(await readText(http1.socket), 'before and after');
    t.equal(await readText(http2.stream), 'still open');
  }
  await drained;
  t.equal(frontEnd.activeStreams, 0);
});

t.test('drain waits for dials and their streams', async (t) => {
  const pending = new PendingDial();
  const { frontEnd, uds } = await startFrontEnd(t, pending.dial);
  const socket = await openFrontEnd(uds);
  socket.write(connectHead('a:1'));
  await pending.until(1);
  const drained = frontEnd.drain();
  t.equal(frontEnd.activeStreams, 1);
  t.notOk(pending.started[0]?.canceled);
  await frontEnd.destroyAll();
  await drained;
  t.equal(frontEnd.activeStreams, 0);
});

t.test('destroyAll ends streams and connections at once', async (t) => {
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const target = `127.0.0.1:${echo.port}`;
  const { frontEnd, uds, tls, seen } = await startFrontEnd(t, await startTunnel(t));
  const closings = [];
  for (const via of [uds, tls]) {
    const http1 = await connectThrough({ via, target });
    const client = await Http2ConnectClient.open(via);
    await client.connect(target);
    for (const socket of [http1.socket, await openFrontEnd(via)]) {
      socket.on('error', () => {});
      socket.on('end', () => socket.end());
      socket.resume();
      closings.push(new Promise((resolve) => socket.once('close', resolve)));
    }
    closings.push(new Promise((resolve) => client.session.once('close', resolve)));
  }
  const handshaking = connect(tls.port, '127.0.0.1');
  await once(handshaking, 'connect');
  handshaking.on('error', () => {});
  handshaking.resume();
  closings.push(new Promise((resolve) => handshaking.once('close', resolve)));
  await frontEnd.destroyAll(new TunnelError('shutting_down', 'the tests are over'));
  t.equal(frontEnd.activeStreams, 0);
  await Promise.all(closings);
  const ends = seen.logs.filter(({ message }) => message === 'stream');
  t.equal(ends.length, 4);
  for (const { end } of ends) t.equal(end, 'shutting_down');
});
