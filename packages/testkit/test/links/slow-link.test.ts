import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import {
  countBytes,
  type Endpoint,
  readSinkReport,
  readText,
  type SlowLinkOptions,
  seededBuffer,
  seededReadable,
  seededSha256,
  startEchoTarget,
  startLateAnswerTarget,
  startSinkTarget,
  startSlowLink,
  startSourceTarget,
} from '@fairlead/testkit';
import {
  type ControlledTime,
  controlTime,
  passTime as passTimeOf,
} from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';

const tenMbit = 1_250_000;

async function linkTo(test: Test, target: Endpoint, options: Omit<SlowLinkOptions, 'to'>) {
  const link = await startSlowLink({ ...options, to: target });
  test.teardown(async () => {
    await link.close();
    await target.close();
  });
  return link;
}

async function dial(test: Test, { host, port }: Endpoint): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
  test.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Ticks of the event loop that a byte needs from one socket of this process to the next. */
const socketTicks = 8;

/** Advances time in steps of a millisecond until the work is done. Sockets get their ticks in between. */
const passTime = <Result>(time: ControlledTime, work: Promise<Result>): Promise<Result> =>
  passTimeOf(time, 'the link has carried all', work, { stepMs: 1, ticks: socketTicks });

for (const direction of ['outward', 'homeward'] as const) {
  t.test(`the rate ${direction} is within 10 %, and the content is intact`, async (t) => {
    const totalBytes = 1_000_000;
    const outward = direction === 'outward';
    const target = outward
      ? await startSinkTarget()
      : await startSourceTarget({ totalBytes, seed: 'rate' });
    const link = await linkTo(t, target, { delayMs: 5, bytesPerSecond: tenMbit });
    const time = controlTime(t);
    const startedMs = performance.now();
    const socket = await dial(t, link);
    if (outward) seededReadable('rate', totalBytes).pipe(socket);
    const received = outward ? readSinkReport(socket) : countBytes(socket);
    const report = await passTime(time, received);
    // The FIN arrives one delay after the last byte, and the answer of a sink one more delay later.
    const elapsedMs = performance.now() - startedMs - (outward ? 10 : 5);
    t.same(report, { bytes: totalBytes, sha256: seededSha256('rate', totalBytes) });
    const rate = (totalBytes / elapsedMs) * 1000;
    t.ok(Math.abs(rate / tenMbit - 1) < 0.1, `${Math.round(rate)} bytes/s`);
  });
}

t.test('a short queue keeps a link with a long delay busy', async (t) => {
  const totalBytes = 300_000;
  const delayMs = 250;
  const target = await startSourceTarget({ totalBytes });
  const link = await linkTo(t, target, { delayMs, bytesPerSecond: tenMbit, queueBytes: 20_000 });
  const time = controlTime(t);
  const startedMs = performance.now();
  const report = await passTime(time, countBytes(await dial(t, link)));
  const sendingMs = performance.now() - startedMs - delayMs;
  t.equal(report.bytes, totalBytes);
  t.ok(sendingMs < (totalBytes / tenMbit) * 1000 * 1.15, `${sendingMs.toFixed()} ms`);
});

t.test('connections share the rate of the link', async (t) => {
  const totalBytes = 200_000;
  const target = await startSourceTarget({ totalBytes });
  const link = await linkTo(t, target, { delayMs: 1, bytesPerSecond: tenMbit });
  const time = controlTime(t);
  const startedMs = performance.now();
  const sockets = await Promise.all([1, 2, 3].map(() => dial(t, link)));
  const received = Promise.all(sockets.map((socket) => countBytes(socket)));
  const reports = await passTime(time, received);
  const elapsedMs = performance.now() - startedMs;
  for (const report of reports) t.equal(report.sha256, target.sha256);
  const rate = ((3 * totalBytes) / elapsedMs) * 1000;
  t.ok(rate < tenMbit * 1.02, `${Math.round(rate)} bytes/s in total`);
});

t.test('a byte takes little more than the delay in each direction', async (t) => {
  const delayMs = 20;
  const link = await linkTo(t, await startEchoTarget(), { delayMs, bytesPerSecond: tenMbit });
  const socket = await dial(t, link);
  const time = controlTime(t);
  const roundTripsMs: number[] = [];
  for (let round = 0; round < 15; round++) {
    const startedMs = performance.now();
    socket.write('k');
    await passTime(time, once(socket, 'data'));
    roundTripsMs.push(performance.now() - startedMs);
  }
  roundTripsMs.sort((a, b) => a - b);
  const [fastestMs, medianMs] = [roundTripsMs[0]!, roundTripsMs[7]!];
  t.ok(fastestMs >= 2 * delayMs, `fastest ${fastestMs.toFixed(2)} ms`);
  t.ok(medianMs < 2 * delayMs + 8, `median ${medianMs.toFixed(2)} ms`);
});

t.test('bytes arrive evenly and not in bursts', async (t) => {
  const target = await startSourceTarget({ totalBytes: 250_000 });
  const link = await linkTo(t, target, { delayMs: 1, bytesPerSecond: tenMbit });
  const socket = await dial(t, link);
  const time = controlTime(t);
  let largest = 0;
  const counted = countBytes(socket, {
    onBytes: (bytes) => {
      largest = Math.max(largest, bytes);
    },
  });
  await passTime(time, counted);
  // 12,500 bytes are 10 ms of this link; a chunk of 64 KiB would be 52 ms.
  t.ok(largest <= 12_500 * 4, `largest piece ${largest} bytes`);
});

t.test('forwards a half-close: the answer arrives after the FIN', async (t) => {
  const answerBytes = 300_000;
  const target = await startLateAnswerTarget({ answerBytes });
  const link = await linkTo(t, target, { delayMs: 3, bytesPerSecond: 10 * tenMbit });
  const socket = await dial(t, link);
  socket.end('question');
  t.same(await countBytes(socket), { bytes: answerBytes, sha256: target.sha256 });
});

t.test('forwards a reset', async (t) => {
  const server = createServer((socket) => {
    socket.once('data', () => socket.resetAndDestroy());
  });
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const close = async () => {
    server.close();
  };
  const link = await linkTo(
    t,
    { host: '127.0.0.1', port, close },
    { delayMs: 1, bytesPerSecond: tenMbit },
  );
  const socket = await dial(t, link);
  socket.write('x');
  await t.rejects(once(socket, 'end'), { code: 'ECONNRESET' });
});

t.test('resets the connection if the target refuses', async (t) => {
  const target = await startEchoTarget();
  await target.close();
  const link = await linkTo(t, target, { delayMs: 1, bytesPerSecond: tenMbit });
  const socket = await dial(t, link);
  await t.rejects(once(socket, 'end'), { code: 'ECONNRESET' });
});

t.test('a full link stops reading, so that its memory is bounded', async (t) => {
  const queueBytes = 100_000;
  const delayMs = 40;
  const link = await linkTo(t, await startSinkTarget(), {
    delayMs,
    bytesPerSecond: tenMbit,
    queueBytes,
  });
  const socket = await dial(t, link);
  const time = controlTime(t);
  let highest = 0;
  const source = seededReadable('queue', 1_000_000);
  source.on('data', () => {
    highest = Math.max(highest, link.heldBytes);
  });
  source.pipe(socket);
  const watch = setInterval(() => {
    highest = Math.max(highest, link.heldBytes);
  }, 5);
  t.teardown(() => clearInterval(watch));
  const report = await passTime(time, readSinkReport(socket));
  t.equal(report.bytes, 1_000_000);
  const onTheWire = (tenMbit * delayMs) / 1000;
  const oneRead = 65_536;
  t.ok(highest > queueBytes, `highest ${highest}`);
  // Late timers deliver bytes some milliseconds later.
  const lateness = (tenMbit * 20) / 1000;
  t.ok(highest <= queueBytes + oneRead + onTheWire + lateness, `highest ${highest}`);
  t.equal(link.heldBytes, 0);
});

t.test('a reader that stops reading stops its own connection only', async (t) => {
  const totalBytes = 8_000_000;
  const rate = 100_000_000;
  const target = await startSourceTarget({ totalBytes });
  const link = await linkTo(t, target, { delayMs: 1, bytesPerSecond: rate });
  const stalled = await dial(t, link);
  const healthy = await dial(t, link);
  t.equal((await countBytes(healthy)).sha256, target.sha256);
  t.equal((await countBytes(stalled)).sha256, target.sha256, 'it continues when it is read');
});

t.test('a severed link is silent, and resume() delivers its bytes', async (t) => {
  const target = await startEchoTarget();
  const link = await linkTo(t, target, { delayMs: 10, bytesPerSecond: tenMbit });
  const socket = await dial(t, link);
  const time = controlTime(t);
  const sent = seededBuffer('severed', 50_000);
  const arrived: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => arrived.push(chunk));
  socket.write(sent);
  await passTime(time, once(socket, 'data'));
  link.sever();
  // Bytes in the kernel still arrive.
  for (let tick = 0; tick < socketTicks; tick++) await new Promise(setImmediate);
  const before = arrived.length;
  socket.end();
  await passTime(time, new Promise((resolve) => setTimeout(resolve, 500)));
  t.equal(arrived.length, before, 'no bytes arrive');
  t.ok(link.heldBytes > 0, 'the link still has bytes');
  link.resume();
  await passTime(time, once(socket, 'end'));
  t.ok(Buffer.concat(arrived).equals(sent), 'all bytes arrived');
  t.equal(link.heldBytes, 0);
});

t.test('reset() resets the open connections, and new ones work', async (t) => {
  const target = await startEchoTarget();
  const link = await linkTo(t, target, { delayMs: 1, bytesPerSecond: tenMbit });
  const socket = await dial(t, link);
  socket.write('x');
  await once(socket, 'data');
  const failed = t.rejects(once(socket, 'end'), { code: 'ECONNRESET' });
  link.reset();
  await failed;
  const next = await dial(t, link);
  next.end('again');
  t.equal(await readText(next), 'again');
});

t.test('refuses an invalid rate or delay', async (t) => {
  const to = { host: '127.0.0.1', port: 9 };
  for (const bytesPerSecond of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    await t.rejects(startSlowLink({ to, delayMs: 1, bytesPerSecond }), RangeError);
  }
  await t.rejects(startSlowLink({ to, delayMs: -1, bytesPerSecond: 1 }), RangeError);
});
