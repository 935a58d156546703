import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { formatTarget } from '@fairlead/protocol';
import type { ByteReport } from '@fairlead/testkit';
import {
  connectHead,
  connectThrough,
  countBytes,
  exchangeRaw,
  openFrontEnd,
  readText,
  reserveRefusedPort,
  seededReadable,
  seededSha256,
  startEarlyEndTarget,
  startEchoTarget,
  startLateAnswerTarget,
} from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';
import {
  failingDial,
  listeners,
  PendingDial,
  passTime,
  startFrontEnd,
  startTunnel,
  type TestFrontEnd,
} from './front-end-fixture.ts';

/** Checks that an answer has the format of a refusal, and returns its body. */
function checkRefusal(t: Test, text: string, status: number, code: string): string {
  const [head = '', body = '', ...rest] = text.split('\r\n\r\n');
  t.equal(rest.length, 0);
  t.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
  t.match(head.toLowerCase(), `\r\nfairlead-error: ${code}`);
  t.match(head.toLowerCase(), '\r\nconnection: close');
  t.match(head.toLowerCase(), '\r\ncontent-type: text/plain');
  t.match(head.toLowerCase(), `\r\ncontent-length: ${Buffer.byteLength(body, 'latin1')}`);
  const detail = /\r\nfairlead-error-detail: ([^\r]+)/.exec(head)?.[1] ?? '(none)';
  t.match(body, detail, 'curl shows the headers');
  t.match(
    head,
    `HTTP/1.1 ${status} ${code}: ${detail}\r\n`,
    'kube-apiserver shows the status line',
  );
  t.match(body, /^[^\r\n]+ after \d+ ms\)\n$/, 'the body is one line');
  return body;
}

for (const [listener, addressOf] of Object.entries(listeners)) {
  t.test(`HTTP/1.1 CONNECT over ${listener}`, async (t) => {
    const target = await startEchoTarget();
    t.teardown(() => target.close());
    const started = await startFrontEnd(t, await startTunnel(t));
    const via = addressOf(started);

    t.test('answers 200 without headers and relays', async (t) => {
      const socket = await openFrontEnd(via);
      socket.write(connectHead(formatTarget(target), { Host: '127.0.0.1' }));
      const [answer] = await once(socket, 'data');
      t.equal(answer.toString(), 'HTTP/1.1 200 Connection established\r\n\r\n');
      socket.end('ping');
      t.equal(await readText(socket), 'ping');
      const { bytesFromClient, bytesToClient, error } = await started.until(({ ends }) => ends[0]);
      t.same(
        { bytesFromClient, bytesToClient, error },
        { bytesFromClient: 4, bytesToClient: 4, error: undefined },
      );
      const line = await started.until(({ logs }) => logs.find((log) => log.message === 'stream'));
      t.match(line, {
        level: 'debug',
        protocol: 'http1',
        caller: listener === 'UDS' ? 'uds' : 'mtls:frontend-client',
        target: formatTarget(target),
        agent: 'agent-1',
        bytesFromClient: 4,
        bytesToClient: 4,
        durationMs: Number,
        end: 'closed',
      });
    });

    t.test('delivers bytes that arrive in one packet with the head', async (t) => {
      const payload = 'x'.repeat(20_000);
      const reply = await connectThrough({ via, target: formatTarget(target), payload, end: true });
      t.equal(reply.status, 200);
      t.equal(await readText(reply.socket), payload);
    });

    t.test('reads a head that arrives byte by byte', async (t) => {
      const socket = await openFrontEnd(via);
      socket.setNoDelay(true);
      for (const byte of connectHead(formatTarget(target))) {
        await new Promise((resolve) => socket.write(byte, resolve));
      }
      socket.end('slow');
      t.match(await readText(socket), /^HTTP\/1\.1 200 [^\r]*\r\n\r\nslow$/);
    });

    t.test('accepts any Host header or none', async (t) => {
      for (const head of [
        `CONNECT ${formatTarget(target)} HTTP/1.1\r\nHost: elsewhere.example:1\r\n\r\n`,
        `CONNECT ${formatTarget(target)} HTTP/1.1\r\n\r\n`,
      ]) {
        const socket = await openFrontEnd(via);
        socket.end(head);
        t.match(await readText(socket), /^HTTP\/1\.1 200 /);
      }
    });

    t.test('forwards the half-close of a client, and the target then sends 8 MiB', async (t) => {
      const late = await startLateAnswerTarget({ answerBytes: 8 * 1024 * 1024 });
      t.teardown(() => late.close());
      const reply = await connectThrough({
        via,
        target: formatTarget(late),
        payload: 'go',
        end: true,
      });
      const { sha256 } = await countBytes(reply.socket);
      t.equal(sha256, late.sha256);
    });

    t.test('forwards the half-close of a target, and the target then reads 8 MiB', async (t) => {
      let onReport = (_report: ByteReport) => {};
      const reported = new Promise<ByteReport>((resolve) => {
        onReport = resolve;
      });
      const early = await startEarlyEndTarget({ greeting: 'bye', onReport });
      t.teardown(() => early.close());
      const reply = await connectThrough({ via, target: formatTarget(early) });
      t.equal(await readText(reply.socket), 'bye');
      seededReadable('upload', 8 * 1024 * 1024).pipe(reply.socket);
      t.equal((await reported).sha256, seededSha256('upload', 8 * 1024 * 1024));
    });

    t.test('relays 200 streams at once', async (t) => {
      await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          const payload = `stream ${index}`;
          const reply = await connectThrough({
            via,
            target: formatTarget(target),
            payload,
            end: true,
          });
          t.equal(await readText(reply.socket), payload);
        }),
      );
      await started.until(() => started.frontEnd.activeStreams === 0);
    });

    t.test('answers 502 if the target refuses the connection', async (t) => {
      const refused = await reserveRefusedPort();
      t.teardown(() => refused.close());
      const request = connectHead(formatTarget(refused));
      const { text, closedBy } = await exchangeRaw(via, request);
      t.equal(closedBy, 'end');
      const body = checkRefusal(t, text, 502, 'target_refused');
      t.match(body, `(target_refused at the target, target ${formatTarget(refused)}, after `);
      const line = await started.until(({ logs }) =>
        logs.find((log) => log.end === 'target_refused'),
      );
      t.equal(line.level, 'info');
    });
  });

  const refusals: [what: string, request: string | Buffer, status: number, code: string][] = [
    ['GET', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 405, 'method_not_allowed'],
    ['GET without Host', 'GET / HTTP/1.1\r\n\r\n', 405, 'method_not_allowed'],
    [
      'a POST with its body',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody',
      405,
      'method_not_allowed',
    ],
    [
      'an Expect header',
      'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n',
      405,
      'method_not_allowed',
    ],
    [
      'a strange Expect header',
      'POST / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 4\r\n\r\n',
      405,
      'method_not_allowed',
    ],
    [
      'an upgrade',
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
      405,
      'method_not_allowed',
    ],
    [
      'a CONNECT after a GET',
      'GET / HTTP/1.1\r\nHost: x\r\n\r\nCONNECT a:1 HTTP/1.1\r\n\r\n',
      405,
      'method_not_allowed',
    ],
    ['garbage', 'garbage\r\n\r\n', 400, 'bad_request'],
    ['binary garbage', Buffer.from('160301020001000001fc0303', 'hex'), 400, 'bad_request'],
    ['a bad header line', 'CONNECT a:1 HTTP/1.1\r\n: x\r\n\r\n', 400, 'bad_request'],
    ['HTTP/1.0', 'CONNECT a:1 HTTP/1.0\r\n\r\n', 400, 'bad_request'],
    [
      'an over-long header',
      `CONNECT a:1 HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      431,
      'head_too_large',
    ],
    [
      'an over-long target',
      `CONNECT ${'x'.repeat(20_000)}:1 HTTP/1.1\r\n\r\n`,
      431,
      'head_too_large',
    ],
    [
      'too many headers',
      `CONNECT a:1 HTTP/1.1\r\n${'X: x\r\n'.repeat(5_000)}\r\n`,
      431,
      'head_too_large',
    ],
    ['no port', 'CONNECT host HTTP/1.1\r\nHost: host\r\n\r\n', 400, 'bad_target'],
    ['port 0', 'CONNECT host:0 HTTP/1.1\r\nHost: host\r\n\r\n', 400, 'bad_target'],
    ['port 65536', 'CONNECT host:65536 HTTP/1.1\r\nHost: host\r\n\r\n', 400, 'bad_target'],
    ['userinfo', 'CONNECT me@host:1 HTTP/1.1\r\nHost: host\r\n\r\n', 400, 'bad_target'],
    [
      'bytes after a bad target',
      `CONNECT host HTTP/1.1\r\n\r\n${'x'.repeat(100_000)}`,
      400,
      'bad_target',
    ],
  ];

  t.test(`refused requests over ${listener}`, async (t) => {
    const pending = new PendingDial();
    const started = await startFrontEnd(t, pending.dial);
    const via = addressOf(started);
    for (const [what, request, status, code] of refusals) {
      t.test(what, async (t) => {
        const before = started.seen.refused.length;
        const { text, closedBy } = await exchangeRaw(via, request);
        t.equal(closedBy, 'end', 'the server ends the connection');
        checkRefusal(t, text, status, code);
        if (status === 405) t.match(text.toLowerCase(), '\r\nallow: connect\r\n');
        t.same(started.seen.refused.slice(before), [code], 'one refusal is counted');
      });
    }
    t.test('a client that still sends after its refusal is not reset', async (t) => {
      const socket = await openFrontEnd(via);
      const errors: Error[] = [];
      socket.on('error', (error) => errors.push(error));
      socket.write('GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n');
      socket.resume();
      await once(socket, 'end');
      socket.end(Buffer.alloc(1024 * 1024));
      await new Promise((resolve) => socket.once('close', resolve));
      t.same(errors, []);
    });
    t.test('HEAD is answered without a body', async (t) => {
      const { text } = await exchangeRaw(via, 'HEAD / HTTP/1.1\r\nHost: x\r\n\r\n');
      t.match(text, /^HTTP\/1\.1 405 .*\r\ncontent-length: [1-9].*\r\n\r\n$/s);
    });
    t.test('half a head before the end of input is answered with 400', async (t) => {
      const socket = await openFrontEnd(via);
      socket.end('CONNECT a:1 HT');
      checkRefusal(t, await readText(socket), 400, 'bad_request');
    });
    t.test('the end of input without any bytes is not answered', async (t) => {
      const socket = await openFrontEnd(via);
      socket.end();
      t.equal(await readText(socket), '');
    });
    t.equal(pending.started.length, 0, 'nothing was dialed');
  });

  t.test(`deadlines over ${listener}`, async (t) => {
    const pending = new PendingDial();
    const time = controlTime(t);
    const started = await startFrontEnd(t, pending.dial, { headTimeoutMs: 60_000 });
    const via = addressOf(started);
    const exchangeUntilDeadline = (text: string) =>
      passTime(time, 'the connection is closed', exchangeRaw(via, text));
    t.test('a silent connection is closed without an answer', async (t) => {
      const { text, closedBy } = await exchangeUntilDeadline('');
      t.same({ text, closedBy }, { text: '', closedBy: 'end' });
    });
    for (const half of ['C', 'CONNECT a:1 HTTP/1.1\r\nHost: x\r\n', 'PO', 'P']) {
      t.test(`half a head is answered with 408: ${JSON.stringify(half)}`, async (t) => {
        const { text, closedBy } = await exchangeUntilDeadline(half);
        t.equal(closedBy, 'end');
        checkRefusal(t, text, 408, 'request_timeout');
      });
    }
    t.test('a dial that takes longer is not cancelled', async (t) => {
      const socket = await openFrontEnd(via);
      socket.write(connectHead('a:1'));
      await pending.until(1);
      // A newer connection reaches the deadline, so it has passed for this connection too.
      await exchangeUntilDeadline('');
      t.notOk(pending.started[0]?.canceled);
      t.equal(started.frontEnd.activeStreams, 1);
      socket.destroy();
    });
  });

  t.test(`a client that disconnects during the dial, over ${listener}`, async (t) => {
    const pending = new PendingDial();
    const started = await startFrontEnd(t, pending.dial);
    const via = addressOf(started);
    t.test('by FIN: the dial continues', async (t) => {
      const socket = await openFrontEnd(via);
      socket.end(connectHead('a:1'));
      await pending.until(1);
      const probe = await openFrontEnd(via);
      probe.end(connectHead('a:1'));
      await pending.until(2);
      t.notOk(pending.started[0]?.canceled);
      socket.destroy();
      probe.destroy();
    });
  });
}

/** Opens a TLS connection over a TCP socket, which is needed to send RST. */
async function openResettable(t: Test, { tls }: TestFrontEnd): Promise<[TLSSocket, Socket]> {
  const tcp = connectTcp({ host: '127.0.0.1', port: tls.port });
  const socket = connectTls({ ...tls.tls, servername: 'localhost', socket: tcp });
  socket.on('error', () => {});
  t.teardown(() => tcp.destroy());
  await once(socket, 'secureConnect');
  return [socket, tcp];
}

t.test('a client that resets during the dial cancels it', async (t) => {
  const pending = new PendingDial();
  const started = await startFrontEnd(t, pending.dial);
  const [socket, tcp] = await openResettable(t, started);
  socket.write(connectHead('a:1'));
  await pending.until(1);
  // Not in the same tick: the server's TLS tickets would then fail with the reset, and Node ignores
  // that error.
  await new Promise((resolve) => setImmediate(resolve));
  tcp.resetAndDestroy();
  const { error } = await started.until(({ dials }) => dials.at(-1));
  t.equal(error?.code, 'cancelled');
  t.equal(pending.started[0]?.canceled?.code, 'cancelled');
});

t.test('the access log has a line for a client that resets its stream', async (t) => {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const started = await startFrontEnd(t, await startTunnel(t));
  const [socket, tcp] = await openResettable(t, started);
  socket.write(connectHead(formatTarget(target)));
  await once(socket, 'data');
  tcp.resetAndDestroy();
  const line = await started.until(({ logs }) => logs.find((log) => log.message === 'stream'));
  t.match(line, { level: 'info', end: 'client_reset', agent: 'agent-1' });
});

t.test('each dial error has its status and names the part that failed', async (t) => {
  const failures = [
    ['no_agent', 503, 'server'],
    ['backend_dial_timeout', 504, 'agent'],
    ['dial_timeout', 504, 'target'],
    ['dns_failed', 502, 'agent'],
    ['agent_failed', 503, 'agent'],
    ['policy_denied', 403, 'agent'],
    ['limit_reached', 503, 'server'],
    ['tunnel_lost', 502, 'agent'],
  ] as const;
  for (const [code, status, part] of failures) {
    const { uds } = await startFrontEnd(t, failingDial(code, 'it\r\nInjected: header\u0000failed'));
    const { text } = await exchangeRaw(uds, connectHead('a:1'));
    const body = checkRefusal(t, text, status, code);
    t.match(body, `it Injected: header failed (${code} at the ${part}, target a:1, after`);
    t.notMatch(text, '\r\nInjected');
  }
});

t.test('an unexpected error of the dial is answered with 500', async (t) => {
  const { uds } = await startFrontEnd(t, () => {
    throw new TypeError('oops');
  });
  const { text } = await exchangeRaw(uds, connectHead('a:1'));
  checkRefusal(t, text, 500, 'internal_error');
});

t.test('--mode grpc refuses CONNECT', async (t) => {
  const { uds } = await startFrontEnd(t, failingDial('internal_error'), { mode: 'grpc' });
  const { text } = await exchangeRaw(uds, connectHead('a:1'));
  checkRefusal(t, text, 405, 'method_not_allowed');
});
