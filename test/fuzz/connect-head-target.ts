import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { formatTarget, TunnelError } from '@fairlead/protocol';
import { createLogger } from '@fairlead/runtime/process';
import { FrontEnd } from '@fairlead/server/internal';
import { makeTemporaryDirectory } from '@fairlead/testkit';
import type { FuzzTarget } from './fuzzer.ts';

const heads = [
  'CONNECT 10.0.0.1:10250 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nfirst bytes',
  'CONNECT node-1:1 HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 5\r\n\r\nabcde',
  'CONNECT [::1]:80 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n',
  'GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\nCONNECT a:1 HTTP/1.1\r\n\r\n',
  'HEAD / HTTP/1.0\r\n\r\n',
];

const words = [
  ...['\r\n', '\n', '\r', '\0', ' ', '\t', '@', ':0', ':65536', 'HTTP/1.0', 'CONNECT ', 'Host: '],
  ...['Transfer-Encoding: chunked\r\n', 'Content-Length: 0\r\n', 'Expect: 100-continue\r\n'],
  ...[
    'Upgrade: h2c\r\nConnection: Upgrade\r\n',
    'PRI * HTTP/2.0\r\n',
    '\r\n\r\n',
    '%0d%0a',
    '\x80',
  ],
].map((word) => Buffer.from(word, 'latin1'));

const ignore = () => {};

const observer = {
  ...{ onDialStart: ignore, onDialEnd: ignore, onStreamEnd: ignore },
  ...{ onRefused: ignore, onLimit: ignore },
  grpcCalls: () => ({
    ...{ onPacket: ignore, onError: ignore, onCallStart: ignore },
    ...{ onCallEnd: ignore, onHeldUp: ignore, onWritten: ignore },
  }),
};

/** A front end on a Unix domain socket. All its dials fail. */
export async function connectHead(): Promise<FuzzTarget & { close(): Promise<void> }> {
  const dialed: string[] = [];
  const frontEnd = new FrontEnd({
    dial: (target) => {
      dialed.push(formatTarget(target));
      throw new TunnelError('no_agent');
    },
    logger: createLogger('silent', { write: () => {} }),
    observer,
    mode: 'http-connect',
    headTimeoutMs: 2_000,
    maxHeadBytes: 16_384,
  });
  const directory = await makeTemporaryDirectory();
  const path = `${directory.path}/s`;
  await frontEnd.listenUds({ path, checkIntervalMs: 10_000 });
  return {
    name: 'connect-head',
    seeds: heads.map((head) => Buffer.from(head)),
    words,
    async run(input) {
      dialed.length = 0;
      const socket = createConnection({ path, allowHalfOpen: true });
      // The server can refuse and close while the client still sends.
      socket.on('error', () => {});
      socket.end(input);
      const answer = (await buffer(socket).catch(() => Buffer.alloc(0))).toString('latin1');
      const answers = answer.match(/^HTTP\/1\.1 /gm) ?? [];
      // HTTP/2 starts with its preface, and the answer is frames.
      if (!input.toString('latin1').startsWith('PRI * HTTP/2.0\r\n')) {
        assert.match(answer, /^(?:HTTP\/1\.1 (?:400|403|405|408|431|503) [\s\S]*)?$/);
        assert.ok(answers.length <= 1, answer);
      }
      assert.ok(dialed.length <= 1);
      const [target] = dialed;
      if (target === undefined) return;
      const line = input
        .toString('latin1')
        .split(/\r?\n/)
        .find((each) => each !== '');
      // Several spaces between the words are valid (RFC 9112 section 3).
      assert.equal(line?.replace(/ +/g, ' '), `CONNECT ${target} HTTP/1.1`);
      assert.match(answer, /^HTTP\/1\.1 503 /);
    },
    async close() {
      await frontEnd.destroyAll();
      await directory.close();
    },
  };
}
