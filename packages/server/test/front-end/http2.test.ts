import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { formatTarget } from '@fairlead/protocol';
import {
  type ByteReport,
  connectHead,
  connectThrough,
  countBytes,
  exchangeRaw,
  type FrontEndAddress,
  Http2ConnectClient,
  openFrontEnd,
  readText,
  reserveRefusedPort,
  seededReadable,
  seededSha256,
  startEarlyEndTarget,
  startEchoTarget,
  startLateAnswerTarget,
  startResetTarget,
} from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';
import {
  echoStream,
  failingDial,
  listeners,
  PendingDial,
  passTime,
  startFrontEnd,
  startTunnel,
} from './front-end-fixture.ts';

async function openClient(t: Test, via: FrontEndAddress): Promise<Http2ConnectClient> {
  const client = await Http2ConnectClient.open(via);
  t.teardown(() => client.close());
  return client;
}

/** Opens a session of Node's client, for requests that a CONNECT client does not send. */
async function openSession(t: Test, via: FrontEndAddress): Promise<ClientHttp2Session> {
  const socket = await openFrontEnd(via, 'h2');
  const session = connect('http://localhost', { createConnection: () => socket });
  session.on('error', () => {});
  t.teardown(() => session.destroy());
  return session;
}

/** Unlike `once`, this does not reject if the stream has an error. */
function closed(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve));
}

async function request(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string) {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  let trailers: object = {};
  stream.on('trailers', (received) => {
    trailers = received;
  });
  const [answer] = await once(stream, 'response');
  const text = await readText(stream);
  return { headers: answer, text, trailers };
}

for (const [listener, addressOf] of Object.entries(listeners)) {
  t.test(`HTTP/2 CONNECT over ${listener}`, async (t) => {
    const target = await startEchoTarget();
    t.teardown(() => target.close());
    const started = await startFrontEnd(t, await startTunnel(t));
    const via = addressOf(started);
    const client = await openClient(t, via);

    t.test('relays 500 streams at once on one connection', async (t) => {
      const answers = await Promise.all(
        Array.from({ length: 500 }, async (_, index) => {
          const { status, stream } = await client.connect(formatTarget(target));
          stream.end(`stream ${index}`);
          return `${status} ${await readText(stream)}`;
        }),
      );
      t.same(
        answers,
        answers.map((_, index) => `200 stream ${index}`),
      );
      await started.until(() => started.frontEnd.activeStreams === 0);
      const lines = started.seen.logs.filter(({ message }) => message === 'stream');
      t.equal(lines.length, 500);
      t.match(lines[0], { level: 'debug', protocol: 'http2', end: 'closed', agent: 'agent-1' });
    });

    t.test('forwards the half-close of a client, and the target then sends 8 MiB', async (t) => {
      const late = await startLateAnswerTarget({ answerBytes: 8 * 1024 * 1024 });
      t.teardown(() => late.close());
      const { stream } = await client.connect(formatTarget(late));
      stream.end('go');
      t.equal((await countBytes(stream)).sha256, late.sha256);
    });

    t.test('forwards the half-close of a target, and the target then reads 8 MiB', async (t) => {
      let onReport = (_report: ByteReport) => {};
      const reported = new Promise<ByteReport>((resolve) => {
        onReport = resolve;
      });
      const early = await startEarlyEndTarget({ greeting: 'bye', onReport });
      t.teardown(() => early.close());
      const { stream } = await client.connect(formatTarget(early));
      t.equal(await readText(stream), 'bye');
      seededReadable('upload', 8 * 1024 * 1024).pipe(stream);
      t.equal((await reported).sha256, seededSha256('upload', 8 * 1024 * 1024));
    });

    t.test('END_STREAM on the request is forwarded as a half-close', async (t) => {
      const late = await startLateAnswerTarget({ answerBytes: 1000 });
      t.teardown(() => late.close());
      const session = await openSession(t, via);
      const headers = { ':method': 'CONNECT', ':authority': formatTarget(late) };
      const stream = session.request(headers, { endStream: true });
      t.equal((await countBytes(stream)).sha256, late.sha256);
    });

    t.test('a reset by the target resets the stream with CONNECT_ERROR', async (t) => {
      const reset = await startResetTarget({ afterBytes: 1 });
      t.teardown(() => reset.close());
      const session = await openSession(t, via);
      const stream = session.request({ ':method': 'CONNECT', ':authority': formatTarget(reset) });
      stream.on('error', () => {});
      await once(stream, 'response');
      stream.write('x');
      await closed(stream);
      t.equal(stream.rstCode, constants.NGHTTP2_CONNECT_ERROR);
      const line = await started.until(({ logs }) =>
        logs.find(({ end }) => end === 'target_reset'),
      );
      t.equal(line.level, 'info');
    });

    t.test('a reset by the client does not affect other streams', async (t) => {
      const other = await client.connect(formatTarget(target));
      const { stream } = await client.connect(formatTarget(target));
      stream.write('x');
      await once(stream, 'data');
      stream.close(constants.NGHTTP2_CANCEL);
      await started.until(({ logs }) => logs.find(({ end }) => end === 'client_reset'));
      other.stream.end('still open');
      t.equal(await readText(other.stream), 'still open');
    });

    t.test('a stalled stream does not delay other streams', async (t) => {
      const stalled = await client.connect(formatTarget(target));
      // The client does not read, so the echo fills all buffers on the way back.
      const upload = seededReadable('stalled', 32 * 1024 * 1024);
      upload.pipe(stalled.stream);
      await once(upload, 'pause');
      const other = await client.connect(formatTarget(target));
      seededReadable('other', 4 * 1024 * 1024).pipe(other.stream);
      const { sha256 } = await countBytes(other.stream);
      t.equal(sha256, seededSha256('other', 4 * 1024 * 1024));
      const { sha256: late } = await countBytes(stalled.stream);
      t.equal(
        late,
        seededSha256('stalled', 32 * 1024 * 1024),
        'it completes when the client reads',
      );
    });

    t.test('answers a refused dial with the reason', async (t) => {
      const refused = await reserveRefusedPort();
      t.teardown(() => refused.close());
      const { status, headers, body } = await client.connect(formatTarget(refused));
      t.equal(status, 502);
      t.equal(headers['fairlead-error'], 'target_refused');
      t.equal(headers['content-length'], String(Buffer.byteLength(body)));
      t.match(body, /\(target_refused at the target, target 127\.0\.0\.1:\d+, after \d+ ms\)\n$/);
    });

    t.test('bad targets are refused, and the connection stays open', async (t) => {
      for (const target of ['host', 'host:0', 'host:65536', 'me@host:1', '::1:1', '[::1%eth0]:1']) {
        const reply = await client.connect(target).catch((error: Error) => error);
        if (reply instanceof Error) {
          // In newer Node versions, nghttp2 resets a stream whose authority has user information.
          t.match(reply.message, /PROTOCOL_ERROR/, target);
          t.match(target, /@/);
          continue;
        }
        const { status, headers, body } = reply;
        t.equal(status, 400, target);
        t.equal(headers['fairlead-error'], 'bad_target');
        t.match(body, /^bad target .*\n$/);
      }
      t.notOk(client.session.closed);
    });
  });

  t.test(`HTTP/2 preface over ${listener}`, async (t) => {
    const time = controlTime(t);
    const started = await startFrontEnd(t, failingDial('no_agent'), { headTimeoutMs: 60_000 });
    const via = addressOf(started);
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
    const settings = Buffer.from('000000040000000000', 'hex');

    t.test('without SETTINGS is closed at the deadline', async (t) => {
      const socket = await openFrontEnd(via, 'h2');
      socket.write(preface);
      socket.on('error', () => {});
      socket.resume();
      socket.once('end', () => socket.end());
      await passTime(time, 'the connection is closed', once(socket, 'close'));
      t.same(started.seen.refused, ['request_timeout']);
    });

    for (const [what, more] of [
      ['only PINGs', Buffer.from(`000008060000000000${'00'.repeat(8)}`, 'hex')],
      // HEADERS of stream 1 without END_HEADERS. CONTINUATION does not follow.
      ['half a block of headers', Buffer.from('000001010000000001' + '88', 'hex')],
    ] as const) {
      t.test(`with SETTINGS and then ${what} is closed at the deadline`, async (t) => {
        const before = started.seen.refused.length;
        const socket = await openFrontEnd(via, 'h2');
        socket.on('error', () => {});
        socket.write(Buffer.concat([Buffer.from(preface), settings, more]));
        socket.resume();
        await passTime(time, 'the connection is ended', once(socket, 'end'));
        socket.end();
        await once(socket, 'close');
        t.same(started.seen.refused.slice(before), ['request_timeout']);
      });
    }

    t.test('can arrive byte by byte, and after a request the connection stays open', async (t) => {
      const socket = await openFrontEnd(via, 'h2');
      t.teardown(() => socket.destroy());
      socket.setNoDelay(true);
      const acknowledgement = Buffer.from('000000040100000000', 'hex');
      for (const byte of Buffer.concat([Buffer.from(preface), settings, acknowledgement])) {
        await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
      }
      const [frame] = (await once(socket, 'data')) as [Buffer];
      t.equal(frame[3], 4, 'the server’s SETTINGS');
      // HEADERS of stream 1: GET http / with authority a, which is refused.
      const get = '82868441' + '0161';
      socket.write(Buffer.from(`000006010500000001${get}`, 'hex'));
      await started.until(({ refused }) => refused.includes('method_not_allowed'));
      // A newer connection reaches the deadline, so this one no longer has a deadline.
      await passTime(time, 'the newer connection is closed', exchangeRaw(via, ''));
      t.notOk(socket.closed);
      t.notOk(socket.readableEnded);
    });
  });

  t.test(`garbage in HTTP/2 over ${listener} closes only its own connection`, async (t) => {
    const started = await startFrontEnd(t, failingDial('no_agent'));
    const via = addressOf(started);
    const socket = await openFrontEnd(via, 'h2');
    socket.on('error', () => {});
    socket.write(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'garbage '.repeat(100)}`);
    socket.resume();
    await once(socket, 'end');
    socket.destroy();
    const client = await openClient(t, via);
    t.equal((await client.connect('a:1')).status, 503, 'the server still answers');
  });

  t.test(`a client that disconnects during the dial by HTTP/2 over ${listener}`, async (t) => {
    const pending = new PendingDial();
    const started = await startFrontEnd(t, pending.dial);
    const via = addressOf(started);
    const session = await openSession(t, via);
    const open = (endStream: boolean) => {
      const stream = session.request({ ':method': 'CONNECT', ':authority': 'a:1' }, { endStream });
      stream.on('error', () => {});
      return stream;
    };

    t.test('by END_STREAM: the dial continues', async (t) => {
      open(true);
      open(false).end();
      await pending.until(2);
      await new Promise((resolve) => session.ping(resolve));
      t.notOk(pending.started[0]?.canceled);
      t.notOk(pending.started[1]?.canceled);
    });

    t.test('by RST_STREAM: the dial is cancelled', async (t) => {
      const stream = open(false);
      await pending.until(3);
      stream.close(constants.NGHTTP2_CANCEL);
      await started.until(({ dials }) => dials.at(-1)?.error?.code === 'cancelled');
      t.ok(pending.started[2]?.canceled);
      t.notOk(pending.started[0]?.canceled);
    });

    t.test('by closing the connection: every dial is cancelled', async (t) => {
      session.destroy();
      await started.until(({ dials }) => dials.length === 3);
      t.ok(pending.started.every(({ canceled }) => canceled));
      t.equal(started.frontEnd.activeStreams, 0);
    });
  });

  t.test(`requests other than CONNECT by HTTP/2 over ${listener}`, async (t) => {
    const mode = 'http-connect';
    const started = await startFrontEnd(t, failingDial('internal_error'), { mode });
    const session = await openSession(t, addressOf(started));
    t.test('GET is refused', async (t) => {
      const { headers, text } = await request(session, { ':path': '/' });
      t.match(headers, {
        ':status': 405,
        allow: 'CONNECT',
        'fairlead-error': 'method_not_allowed',
      });
      t.match(text, /^only CONNECT is served here, not GET \(method_not_allowed at the server/);
    });
    t.test('POST is refused, and its body is not read', async (t) => {
      const { headers } = await request(session, { ':method': 'POST', ':path': '/' }, 'body');
      t.equal(headers[':status'], 405);
    });
    t.test('gRPC is answered with UNIMPLEMENTED in a trailers-only response', async (t) => {
      const { headers, text } = await request(
        session,
        { ':method': 'POST', ':path': '/ProxyService/Proxy', 'content-type': 'application/grpc' },
        'body',
      );
      t.match(headers, {
        ':status': 200,
        'content-type': 'application/grpc',
        'grpc-status': '12',
        'grpc-message': String,
      });
      t.equal(text, '');
    });
    t.same(started.seen.dials, []);
  });
}

t.test('--mode', async (t) => {
  const grpc = {
    ':method': 'POST',
    ':path': '/ProxyService/Proxy',
    'content-type': 'application/grpc+proto',
  };
  /** The gRPC status of a call without a message. */
  const callStatus = async (session: ClientHttp2Session) => {
    const { headers, trailers } = await request(session, grpc, '');
    return { ...headers, ...trailers }['grpc-status'];
  };
  t.test('grpc refuses CONNECT and serves gRPC', async (t) => {
    const { uds } = await startFrontEnd(t, failingDial('no_agent'), { mode: 'grpc' });
    const session = await openSession(t, uds);
    const { headers } = await request(session, { ':method': 'CONNECT', ':authority': 'a:1' });
    t.match(headers, { ':status': 405, allow: 'POST', 'fairlead-error': 'method_not_allowed' });
    t.equal(await callStatus(session), '0');
  });
  t.test('http-connect refuses gRPC and serves CONNECT', async (t) => {
    const { uds } = await startFrontEnd(t, failingDial('no_agent'), { mode: 'http-connect' });
    const session = await openSession(t, uds);
    const { headers } = await request(session, { ':method': 'CONNECT', ':authority': 'a:1' });
    t.equal(headers[':status'], 503);
    t.equal(await callStatus(session), '12');
  });
  t.test('without --mode both are served', async (t) => {
    const { uds } = await startFrontEnd(t, failingDial('no_agent'));
    const session = await openSession(t, uds);
    const { headers } = await request(session, { ':method': 'CONNECT', ':authority': 'a:1' });
    t.equal(headers[':status'], 503);
    t.equal(await callStatus(session), '0');
  });
});

t.test('a client that resets many streams keeps its connection', async (t) => {
  const { uds } = await startFrontEnd(t, await startTunnel(t, echoStream));
  const client = await openClient(t, uds);
  const lasting = await client.connect('a:1');
  client.session.on('goaway', () => t.fail('the client does nothing wrong'));
  for (let resets = 0; resets < 1_700; resets++) {
    const { stream } = await client.connect('a:1');
    stream.close(constants.NGHTTP2_CANCEL);
    await once(stream, 'close');
  }
  lasting.stream.end('still open');
  t.equal(await readText(lasting.stream), 'still open');
});

/** Starts a target that sends more than the windows, so that bytes wait for a client that does not read. */
async function startFlood(t: Test, ends: boolean) {
  const bytes = Buffer.alloc(8 * 1024 * 1024);
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket
      .on('error', () => {})
      .once('data', () => (ends ? socket.end(bytes) : socket.write(bytes)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

t.test('a reset with NO_ERROR ends the stream although bytes wait for the client', async (t) => {
  for (const ends of [false, true]) {
    const target = await startFlood(t, ends);
    const started = await startFrontEnd(t, await startTunnel(t));
    const client = await openClient(t, started.uds);
    const { stream } = await client.connect(formatTarget(target));
    stream.write('start');
    await once(stream, 'data');
    stream.pause();
    // Node then sends NO_ERROR after the end of the stream's data.
    stream.destroy();
    await started.until(() => started.frontEnd.activeStreams === 0);
    t.notOk(client.session.destroyed, 'the connection stays open');
    t.match(started.seen.ends, [{ error: { code: 'client_reset' } }]);
  }
});

t.test('limits a client that abandons its dials, but not other clients', async (t) => {
  const pending = new PendingDial();
  const started = await startFrontEnd(t, pending.dial, {
    limits: { abandonLimit: { burst: 3, perSecond: 0 } },
  });
  const { uds, tls } = started;
  const session = await openSession(t, uds);
  for (let dials = 1; dials <= 3; dials++) {
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'a:1' });
    await pending.until(dials);
    stream.close(constants.NGHTTP2_CANCEL);
    await started.until((seen) => seen.dials.length === dials);
  }
  const { headers, text } = await request(session, { ':method': 'CONNECT', ':authority': 'a:1' });
  t.match(headers, { ':status': 503, 'fairlead-error': 'limit_reached' });
  t.match(text, 'abandoned too many dials');
  const reply = await exchangeRaw(uds, connectHead('a:1'));
  t.match(reply.text, /^HTTP\/1\.1 503 /, 'the limit is the same for HTTP/1.1');
  t.equal(pending.started.length, 3);

  const other = await openSession(t, tls);
  other.request({ ':method': 'CONNECT', ':authority': 'a:1' });
  await pending.until(4);
  t.equal(pending.started[3]?.caller.commonName, 'frontend-client');
});

t.test('one listener serves HTTP/1.1 and HTTP/2', async (t) => {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const { uds, tls } = await startFrontEnd(t, await startTunnel(t));
  for (const via of [uds, tls]) {
    const client = await openClient(t, via);
    const { stream } = await client.connect(formatTarget(target));
    const reply = await connectThrough({
      via,
      target: formatTarget(target),
      end: true,
      payload: 'one',
    });
    stream.end('two');
    t.equal(await readText(reply.socket), 'one');
    t.equal(await readText(stream), 'two');
  }
});
