import { type ErrorCode, errorTable, TunnelError } from '@fairlead/protocol';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';
import { bytes, HELLO, RawPeer } from './raw-peer.ts';
import { RecordingStream, takeAll } from './recording-handlers.ts';

/** OPEN of stream 2 to a:80. */
const OPEN_2 = '02 00 0004 00000002 0050 01 61';
const FIN_2 = '06 00 0000 00000002';
const HALF_WINDOW = '61'.repeat(65_536 / 2);

/** Starts an agent's session that accepts all streams. Its peer is a raw server. */
function connect(t: Test): RawPeer {
  const peer = new RawPeer(t, 'agent');
  peer.on.offer = (stream) => {
    takeAll(stream);
    stream.accept();
  };
  return peer;
}

/** Checks that the session ends with this code on both sides, and that no other call follows. */
async function endsWith(t: Test, peer: RawPeer, code: ErrorCode, text?: RegExp): Promise<void> {
  const error = await peer.on.closed();
  t.equal(error?.code, code);
  const goAway = await peer.frame('GOAWAY');
  t.equal(goAway.code, errorTable[code].wire, 'the peer receives the code');
  t.not(goAway.lastId, 2 ** 31 - 1, 'the GOAWAY is final');
  if (text) t.match(goAway.reason, text);
  await peer.ended();
  t.equal(peer.on.closes.length, 1);
  t.equal(peer.on.lateCalls, 0);
  t.ok(peer.session.isClosed);
  t.equal(peer.session.streamCount, 0);
}

const violations: [rule: string, code: ErrorCode, ...frames: string[]][] = [
  ['2.2 OPEN before HELLO', 'protocol_error', OPEN_2],
  ['2.2 DATA before HELLO', 'protocol_error', '05 00 0001 00000002 61'],
  ['2.2 PING before HELLO', 'protocol_error', '09 00 0008 00000000 0000000000000001'],
  ['2.2 PONG before HELLO', 'protocol_error', '0a 00 0008 00000000 0000000000000001'],
  ['2.2 an unknown type before HELLO', 'protocol_error', '63 00 0000 00000001'],
  ['2.2 an HTTP request', 'protocol_error', Buffer.from('GET / HTTP/1.1\r\n\r\n').toString('hex')],
  ['2.2 half an OPEN before HELLO', 'protocol_error', '02 00 ffff 00000002'],
  ['2.2 a GOAWAY notice before HELLO', 'protocol_error', '0b 00 0006 00000000 0001 7fffffff'],
  ['3.2 OPEN with the ID of an open stream', 'stream_id_error', HELLO, OPEN_2, OPEN_2],
  [
    '3.2 OPEN with an ID below an earlier one',
    'stream_id_error',
    HELLO,
    '02 00 0004 00000008 0050 01 61',
    OPEN_2,
  ],
  [
    '3.2 OPEN with an ID of the other side',
    'stream_id_error',
    HELLO,
    '02 00 0004 00000003 0050 01 61',
  ],
  [
    '3.3 OPENED for a stream that the peer opened',
    'protocol_error',
    HELLO,
    OPEN_2,
    '03 00 0000 00000002',
  ],
  [
    '3.3 OPEN_FAILED for a stream that the peer opened',
    'protocol_error',
    HELLO,
    OPEN_2,
    '04 00 0002 00000002 0000',
  ],
  ['3.9 OPENED for an unknown stream', 'stream_id_error', HELLO, '03 00 0000 00000001'],
  ['3.9 OPEN_FAILED for an unknown stream', 'stream_id_error', HELLO, '04 00 0002 00000001 0000'],
  ['3.9 DATA for an unknown stream', 'stream_id_error', HELLO, OPEN_2, '05 00 0001 00000004 61'],
  ['3.9 empty DATA for an unknown stream', 'stream_id_error', HELLO, '05 00 0000 00000002'],
  ['3.9 FIN for an unknown stream', 'stream_id_error', HELLO, FIN_2],
  ['3.9 RESET for an unknown stream', 'stream_id_error', HELLO, '07 00 0002 00000002 0000'],
  [
    "3.9 RESET for an unknown stream with this side's parity",
    'stream_id_error',
    HELLO,
    '07 00 0002 00000001 0000',
  ],
  ['3.9 WINDOW for an unknown stream', 'stream_id_error', HELLO, '08 00 0004 00000002 00000001'],
  ['3.10 DATA after FIN', 'stream_closed', HELLO, OPEN_2, FIN_2, '05 00 0001 00000002 61'],
  ['4.2 a WINDOW of 0', 'frame_error', HELLO, OPEN_2, '08 00 0004 00000002 00000000'],
  [
    '4.2 a total credit above 2^31-1',
    'flow_control_error',
    HELLO,
    OPEN_2,
    '08 00 0004 00000002 7fff0000',
  ],
  [
    '4.2 an increment above 2^31-1',
    'flow_control_error',
    HELLO,
    OPEN_2,
    '08 00 0004 00000002 ffffffff',
  ],
  ['1.4 FIN on stream 0', 'frame_error', HELLO, '06 00 0000 00000000'],
  ['1.5 a stream ID with the highest bit', 'frame_error', HELLO, '06 00 0000 80000002'],
  ['1.6 RESET without a code', 'frame_error', HELLO, OPEN_2, '07 00 0000 00000002'],
  ['3.4 OPEN with port 0', 'frame_error', HELLO, '02 00 0004 00000002 0000 01 61'],
];

for (const [rule, code, ...frames] of violations) {
  t.test(`${rule} ends the session with ${code}`, async (t) => {
    const peer = connect(t);
    peer.send(...frames);
    await endsWith(t, peer, code);
  });
}

t.test('3.3 DATA before OPENED ends the session with protocol_error', async (t) => {
  const peer = new RawPeer(t, 'agent');
  const onStream = new RecordingStream();
  peer.on.offer = (stream) => {
    stream.attach(onStream);
  };
  peer.send(HELLO, OPEN_2, '05 00 0001 00000002 61');
  await endsWith(t, peer, 'protocol_error');
  t.strictSame(onStream.events, ['close']);
  t.equal(onStream.error?.code, 'protocol_error');
});

t.test('3.3 FIN before OPENED ends the session with protocol_error', async (t) => {
  const peer = new RawPeer(t, 'agent');
  peer.send(HELLO, OPEN_2, FIN_2);
  await endsWith(t, peer, 'protocol_error');
});

for (const [what, frame] of [
  ['DATA', '05 00 0001 00000001 61'],
  ['FIN', '06 00 0000 00000001'],
] as const) {
  t.test(`3.3 ${what} of an acceptor before OPENED ends the session`, async (t) => {
    const peer = connect(t);
    peer.send(HELLO);
    await peer.on.until(() => peer.on.hellos.length > 0);
    const onStream = new RecordingStream();
    peer.session.open({ host: 'a', port: 80 }, onStream);
    await peer.frame('OPEN');
    peer.send(frame);
    await endsWith(t, peer, 'protocol_error');
    t.strictSame(onStream.events, ['close']);
  });
}

t.test('3.3 a second OPENED ends the session with protocol_error', async (t) => {
  const peer = connect(t);
  peer.send(HELLO);
  await peer.on.until(() => peer.on.hellos.length > 0);
  peer.session.open({ host: 'a', port: 80 }, new RecordingStream());
  await peer.frame('OPEN');
  peer.send('03 00 0000 00000001', '03 00 0000 00000001');
  await endsWith(t, peer, 'protocol_error');
});

t.test('4.3 one byte of DATA beyond the credit ends the session', async (t) => {
  const peer = new RawPeer(t, 'agent');
  const onStream = new RecordingStream();
  peer.on.offer = (stream) => {
    stream.attach(onStream);
    stream.accept();
  };
  const half = `05 00 8000 00000002 ${HALF_WINDOW}`;
  peer.send(HELLO, OPEN_2, half, half);
  await onStream.until(() => onStream.byteCount === 65_536);
  t.notOk(peer.on.isClosed, 'bytes within the credit are accepted');
  peer.send('05 00 0001 00000002 61');
  await endsWith(t, peer, 'flow_control_error');
  t.equal(onStream.error?.code, 'flow_control_error');
  t.equal(onStream.byteCount, 65_536);
});

const hellos: [rule: string, code: ErrorCode, json: string, text: RegExp][] = [
  [
    '2.5 HELLO without a common version',
    'version_unsupported',
    '{"versions":[2,3]}',
    /2, 3.*this side 1/,
  ],
  ['2.5 HELLO without versions', 'version_unsupported', '{}', /unknown/],
  ['2.7 HELLO that is not JSON', 'protocol_error', '{', /JSON/],
  ['2.7 an empty HELLO', 'protocol_error', '', /JSON/],
  ['2.7 HELLO that is not an object', 'protocol_error', '[1]', /HELLO/],
  ['2.7 HELLO that is null', 'protocol_error', 'null', /HELLO/],
  ['2.7 HELLO with a wrong type', 'protocol_error', '{"versions":[1],"agentId":7}', /agentId/],
  [
    '2.7 HELLO with null in a field',
    'protocol_error',
    '{"versions":[1],"serverId":null}',
    /serverId/,
  ],
  [
    '2.7 HELLO with a string that is too long',
    'protocol_error',
    `{"versions":[1],"agentId":"${'x'.repeat(256)}"}`,
    /agentId/,
  ],
  [
    '2.7 HELLO with identifiers that are too long',
    'protocol_error',
    `{"versions":[1],"agentIdentifiers":"${'x'.repeat(8193)}"}`,
    /agentIdentifiers/,
  ],
  [
    '2.7 HELLO with too many peers',
    'protocol_error',
    `{"versions":[1],"peers":[${'"a:1",'.repeat(64)}"a:1"]}`,
    /peers/,
  ],
  [
    '2.7 HELLO with a peer that is not a string',
    'protocol_error',
    '{"versions":[1],"peers":["a:1",2]}',
    /peers\.1/,
  ],
  [
    '2.7 HELLO with a number out of range',
    'protocol_error',
    '{"versions":[1],"serverCount":65536}',
    /serverCount/,
  ],
  [
    '2.7 HELLO with a fraction',
    'protocol_error',
    '{"versions":[1],"maxStreams":1.5}',
    /maxStreams/,
  ],
];

for (const [rule, code, json, text] of hellos) {
  t.test(`${rule} ends the session with ${code}`, async (t) => {
    const peer = connect(t);
    const payload = Buffer.from(json);
    peer.sendBytes(
      Buffer.concat([
        bytes(`01 00 ${payload.length.toString(16).padStart(4, '0')} 00000000`),
        payload,
      ]),
    );
    await endsWith(t, peer, code, text);
    t.strictSame(peer.on.hellos, []);
  });
}

t.test('2.4 the highest common version is used and unknown fields are ignored', async (t) => {
  const peer = connect(t);
  const json = Buffer.from('{"versions":[9,1],"color":"blue","__proto__":{"agentId":"x"}}');
  peer.sendBytes(Buffer.concat([bytes(`01 00 00${json.length.toString(16)} 00000000`), json]));
  await peer.on.until(() => peer.on.hellos.length > 0);
  t.strictSame(peer.on.hellos, [{ versions: [9, 1] }]);
});

t.test('2.6 a later HELLO cannot change versions, and must be well-formed', async (t) => {
  const peer = connect(t);
  // {"versions":[2]}
  peer.send(HELLO, '01 00 0010 00000000 7b2276657273696f6e73223a5b325d7d');
  await peer.on.until(() => peer.on.hellos.length === 2);
  t.strictSame(peer.session.peerHello, { versions: [1] });
  peer.send('01 00 0002 00000000 5b5d');
  await endsWith(t, peer, 'protocol_error');
});

t.test('2.3 a peer that does not send HELLO in time ends the session', async (t) => {
  const time = controlTime(t);
  const peer = new RawPeer(t, 'agent', { handshakeTimeoutMs: 20 });
  // An incomplete HELLO does not count.
  peer.send('01 00 0010 00000000 7b22');
  await time.advance(19);
  t.notOk(peer.on.isClosed);
  await time.advance(1);
  await endsWith(t, peer, 'hello_timeout', /20 ms/);
});

t.test('2.3 HELLO cancels the deadline', async (t) => {
  const time = controlTime(t);
  const peer = new RawPeer(t, 'agent', { handshakeTimeoutMs: 20, pingIntervalMs: 30 });
  peer.send(HELLO);
  await peer.on.until(() => peer.on.hellos.length > 0);
  await time.advance(30);
  // The second PING follows the interval, which is longer than the deadline.
  await peer.frame('PING', 1);
  t.notOk(peer.on.isClosed);
});

t.test('2.1 HELLO and a PING are sent at once', async (t) => {
  const peer = connect(t);
  await peer.frame('PING');
  t.strictSame(
    peer.frames.map(({ name }) => name),
    ['HELLO', 'PING'],
  );
  t.throws(() => peer.session.open({ host: 'a', port: 80 }, new RecordingStream()), {
    code: 'hello_timeout',
  });
});

t.test('a handler that throws ends its session with internal_error', async (t) => {
  const peer = new RawPeer(t, 'agent');
  peer.on.offer = () => {
    throw new Error('a bug');
  };
  peer.send(HELLO, OPEN_2);
  await endsWith(t, peer, 'internal_error');
});

t.test('3.8 frames for a closed stream are ignored', async (t) => {
  const peer = connect(t);
  let accepted: RecordingStream | undefined;
  peer.on.offer = (stream) => {
    accepted = takeAll(stream);
    stream.accept();
  };
  const lateFrames = [
    '05 00 0001 00000002 61',
    '05 00 8001 00000002',
    `${HALF_WINDOW} 61`,
    '06 00 0000 00000002',
    '07 00 0002 00000002 0010',
    '08 00 0004 00000002 7fffffff',
    '03 00 0000 00000002',
    '04 00 0002 00000002 0000',
  ];
  peer.send(HELLO, OPEN_2, '07 00 0002 00000002 0000', ...lateFrames, ...lateFrames);
  peer.send('09 00 0008 00000000 1122334455667788');
  const pong = await peer.frame('PONG');
  t.equal(pong.hex, '1122334455667788', '7.4');
  t.strictSame(accepted?.events, ['close']);
  t.equal(accepted?.error?.code, 'cancelled');
  t.notOk(peer.on.isClosed);
});

t.test('3.5 a second FIN is ignored', async (t) => {
  const peer = connect(t);
  let accepted: RecordingStream | undefined;
  peer.on.offer = (stream) => {
    accepted = takeAll(stream);
    stream.accept();
  };
  peer.send(HELLO, OPEN_2, FIN_2, FIN_2, '09 00 0008 00000000 0000000000000001');
  await peer.frame('PONG');
  t.strictSame(accepted?.events, ['end']);
});

t.test('9 an unknown code is treated as internal_error, and its text is sanitized', async (t) => {
  const peer = connect(t);
  peer.send(HELLO);
  await peer.on.until(() => peer.on.hellos.length > 0);
  const [one, two] = [new RecordingStream(), new RecordingStream()];
  peer.session.open({ host: 'a', port: 80 }, one);
  peer.session.open({ host: 'a', port: 80 }, two);
  await peer.frame('OPEN', 1);
  peer.send('07 00 0002 00000001 fffe', '04 00 0009 00000003 fffe 610d0a00621b5b');
  await two.until(() => two.isClosed);
  t.equal(one.error?.code, 'internal_error');
  t.equal(two.error?.code, 'internal_error');
  t.equal(two.error?.message, 'a b [');
});

t.test('7.4 only the latest of several PINGs is answered, before DATA', async (t) => {
  const peer = connect(t);
  peer.on.offer = (stream) => {
    stream.accept();
    stream.write(Buffer.alloc(10_000));
  };
  peer.send(HELLO);
  await peer.frame('PING');
  const before = peer.frames.length;
  peer.send(OPEN_2, '09 00 0008 00000000 0000000000000001', '09 00 0008 00000000 0000000000000002');
  await peer.frame('DATA');
  const names = peer.frames.slice(before).map(({ name }) => name);
  t.strictSame(names, ['OPENED', 'PONG', 'DATA']);
  t.equal((await peer.frame('PONG')).hex, '0000000000000002');
});

t.test('6.2 repeated notices are reported once', async (t) => {
  const peer = connect(t);
  const notice = '0b 00 0006 00000000 0001 7fffffff';
  peer.send(HELLO, notice.repeat(10_000), OPEN_2);
  await peer.frame('OPENED');
  t.equal(peer.on.drainings.length, 1);
  t.notOk(peer.on.isClosed);
});

t.test('10.4 a final GOAWAY before HELLO refuses the tunnel', async (t) => {
  const peer = connect(t);
  peer.send('0b 00 000c 00000000 0044 00000000 6e6f20656e74');
  const error = await peer.on.closed();
  t.equal(error?.code, 'unauthorized');
  t.equal(error?.message, 'no ent');
  await peer.ended();
  t.notOk(
    peer.frames.some(({ name }) => name === 'GOAWAY'),
    'the GOAWAY is not answered',
  );
});

t.test('6.1 frames after a final GOAWAY in the same chunk are ignored', async (t) => {
  const peer = connect(t);
  peer.send(
    HELLO,
    '0b 00 0006 00000000 0001 00000000',
    '0b 00 0006 00000000 0001 7fffffff',
    OPEN_2,
    HELLO,
    '06 00 0000 00000000',
  );
  await peer.on.closed();
  await peer.ended();
  t.equal(peer.on.lateCalls, 0);
  t.strictSame(peer.on.drainings, []);
  t.strictSame(peer.on.offered, []);
});

t.test('6.1 streams above the last ID can be retried on another tunnel', async (t) => {
  const peer = connect(t);
  peer.send(HELLO);
  await peer.on.until(() => peer.on.hellos.length > 0);
  const [processed, unprocessed] = [new RecordingStream(), new RecordingStream()];
  peer.session.open({ host: 'a', port: 80 }, processed);
  peer.session.open({ host: 'a', port: 80 }, unprocessed);
  await peer.frame('OPEN', 1);
  peer.send('0b 00 0006 00000000 0011 00000001');
  await peer.on.closed();
  t.equal(processed.error?.code, 'frame_error');
  t.equal(processed.error?.retryElsewhere, false);
  t.equal(unprocessed.error?.retryElsewhere, true);
});

t.test('an end of the transport without GOAWAY is tunnel_lost', async (t) => {
  const peer = connect(t);
  peer.send(HELLO);
  await peer.on.until(() => peer.on.hellos.length > 0);
  const onStream = new RecordingStream();
  peer.session.open({ host: 'a', port: 80 }, onStream);
  peer.end();
  t.equal((await peer.on.closed())?.code, 'tunnel_lost');
  t.equal(onStream.error?.code, 'tunnel_lost');
  t.equal(peer.on.closes.length, 1);
});

t.test('a handler can close the session while a frame is handled', async (t) => {
  const peer = new RawPeer(t, 'agent');
  const events: string[] = [];
  peer.on.offer = (stream) => {
    stream.attach({
      onData() {
        events.push('data');
        peer.session.close(new TunnelError('shutting_down'));
      },
      onEnd: () => events.push('end'),
      onDrain: () => events.push('drain'),
      onClose: () => events.push('close'),
    });
    stream.accept();
  };
  peer.send(HELLO, OPEN_2, '05 00 0001 00000002 61', '05 00 0001 00000002 61', FIN_2, FIN_2);
  await peer.ended();
  t.strictSame(events, ['data', 'close']);
  t.equal(peer.on.closes.length, 1);
  t.equal((await peer.frame('GOAWAY')).lastId, 2);
});
