import { randomBytes } from 'node:crypto';
import { type Transport, TunnelError } from '@fairlead/protocol';
import { eventually } from '@fairlead/testkit/eventually';
import type { Test } from 'tap';
import { RecordingSink, send } from './recording-sink.ts';

/** Creates two ends of a connection, which are not started, and closes them after the test. */
export type MakeTransports = (t: Test) => Promise<[Transport, Transport]>;

interface Fixture {
  readonly near: Transport;
  readonly far: Transport;
  readonly nearSink: RecordingSink;
  readonly farSink: RecordingSink;
}

async function startBoth(t: Test, makeTransports: MakeTransports): Promise<Fixture> {
  const [near, far] = await makeTransports(t);
  const nearSink = new RecordingSink();
  const farSink = new RecordingSink();
  near.start(nearSink);
  far.start(farSink);
  return { near, far, nearSink, farSink };
}

/** The behavior that a session requires of every transport. */
export function transportContract(t: Test, makeTransports: MakeTransports): void {
  t.test('buffers arrive in order, written separately or together', async (t) => {
    const { near, far, nearSink, farSink } = await startBoth(t, makeTransports);
    send(near, Buffer.from('one '));
    send(near, Buffer.from('two '), Buffer.from('three '), Buffer.from('four'));

    await farSink.bytes(18);
    t.equal(farSink.text, 'one two three four');
    send(far, Buffer.from('back'));
    await nearSink.bytes(4);
    t.equal(nearSink.text, 'back');
  });

  t.test('end() delivers queued bytes and closes both sides without an error', async (t) => {
    const { near, nearSink, farSink } = await startBoth(t, makeTransports);
    const payload = randomBytes(1 << 20);
    send(near, payload);
    near.end();
    near.end();
    send(near, 'late');
    t.equal(await farSink.closed(), undefined);
    t.equal(await nearSink.closed(), undefined);
    t.equal(farSink.byteCount, payload.length);
    t.ok(farSink.got(payload), 'the bytes that were sent');
    t.equal(nearSink.closes.length, 1);
    t.equal(farSink.closes.length, 1);
  });

  t.test('destroy(error) reports the error once and stops delivery', async (t) => {
    const { near, far, nearSink } = await startBoth(t, makeTransports);
    send(far, Buffer.from('x'));
    const failure = new TunnelError('tunnel_silent');
    near.destroy(failure);
    near.destroy(new Error('a second reason'));
    t.equal(await nearSink.closed(), failure);
    t.equal(nearSink.byteCount, 0);
    send(near, 'late');
    t.equal(nearSink.closes.length, 1);
  });

  t.test('destroy() without an error closes this side without an error', async (t) => {
    const { near, nearSink } = await startBoth(t, makeTransports);
    near.destroy();
    t.equal(await nearSink.closed(), undefined);
    t.equal(nearSink.closes.length, 1);
  });

  t.test('destroy() in onBytes drops the remaining bytes', async (t) => {
    const { near, far, farSink } = await startBoth(t, makeTransports);
    farSink.onBytes = (chunk) => {
      RecordingSink.prototype.onBytes.call(farSink, chunk);
      far.destroy();
    };
    for (let index = 0; index < 64; index++) send(near, Buffer.alloc(1000), Buffer.alloc(1000));
    await farSink.closed();
    t.equal(farSink.chunks.length, 1);
  });

  t.test('onSent is called in order, after a buffer was sent', async (t) => {
    const [near, far] = await makeTransports(t);
    near.start(new RecordingSink());
    const chunk = randomBytes(256 * 1024);
    const sent: number[] = [];
    let written = 0;
    // Writes until kernel buffers are full, since the reader has not started.
    while (written - sent.length < 16) {
      const index = written++;
      let isWriting = true;
      near.write(chunk, () => {
        t.notOk(isWriting, 'not called during write()');
        sent.push(index);
      });
      isWriting = false;
      await new Promise(setImmediate);
    }
    const farSink = new RecordingSink(false);
    far.start(farSink);
    await farSink.bytes(written * chunk.length);
    await eventually('every buffer was sent', () => sent.length === written);
    t.strictSame(
      sent,
      Array.from({ length: written }, (_, index) => index),
    );
  });

  t.test('a buffer can be reused after onSent', async (t) => {
    const { near, farSink } = await startBoth(t, makeTransports);
    const buffer = Buffer.alloc(50_000, 'a');
    await new Promise<void>((resolve) => near.write(buffer, resolve));
    buffer.fill('b');
    await farSink.bytes(buffer.length);
    t.equal(farSink.text, 'a'.repeat(buffer.length));
  });

  t.test('the sink is not called during write()', async (t) => {
    const { near, far, nearSink, farSink } = await startBoth(t, makeTransports);
    farSink.onBytes = (chunk) => {
      send(far, chunk);
    };
    let writing = false;
    let reentered = false;
    nearSink.onBytes = (chunk) => {
      if (writing) reentered = true;
      RecordingSink.prototype.onBytes.call(nearSink, chunk);
    };
    for (const text of ['a', 'b', 'c']) {
      writing = true;
      send(near, Buffer.from(text), Buffer.from('-'));
      writing = false;
      await new Promise(setImmediate);
    }
    await nearSink.bytes(6);
    t.equal(nearSink.text, 'a-b-c-');
    t.notOk(reentered);
  });

  t.test('bytes that arrive before start() are delivered after it', async (t) => {
    const [near, far] = await makeTransports(t);
    const nearSink = new RecordingSink();
    near.start(nearSink);
    send(near, Buffer.from('early'));
    await new Promise(setImmediate);
    const farSink = new RecordingSink();
    far.start(farSink);
    t.equal(farSink.byteCount, 0, 'no bytes are delivered during start()');
    await farSink.bytes(5);
    t.equal(farSink.text, 'early');
  });

  t.test('a transport that is destroyed before start() still calls onClose', async (t) => {
    const [near] = await makeTransports(t);
    const failure = new TunnelError('shutting_down');
    near.destroy(failure);
    const sink = new RecordingSink();
    near.start(sink);
    t.equal(sink.closes.length, 0, 'not called during start()');
    t.equal(await sink.closed(), failure);
  });

  t.test('a transport that is closed before start() still calls onClose', async (t) => {
    const [near, far] = await makeTransports(t);
    far.start(new RecordingSink());
    far.end();
    near.end();
    // Long enough for two FINs over loopback.
    for (let tick = 0; tick < 20; tick++) await new Promise(setImmediate);
    const sink = new RecordingSink();
    near.start(sink);
    t.equal(sink.closes.length, 0, 'not called during start()');
    t.equal(await sink.closed(), undefined);
  });
}
