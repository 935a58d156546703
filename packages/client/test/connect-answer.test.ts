import { ConnectAnswer, refusalOf } from '@fairlead/client/internal';
import t, { type Test } from 'tap';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** What one read of these bytes gives: the rest after the head, undefined, or the error. */
const read = (text: string) => new ConnectAnswer().push(latin1(text));

/** Reads an answer in two parts, cut at every place before `last`. The first part is never enough. */
function cutEverywhere(
  t: Test,
  bytes: Buffer,
  last: number,
  check: (readRest: () => Buffer | undefined, cut: number) => void,
) {
  for (let cut = 0; cut < last; cut++) {
    const answer = new ConnectAnswer();
    t.equal(answer.push(bytes.subarray(0, cut)), undefined, `${cut} bytes are not enough`);
    check(() => answer.push(bytes.subarray(cut)), cut);
  }
}

t.test('returns what follows the head of a 200, whatever place it is cut at', async (t) => {
  const text = 'HTTP/1.1 200 Connection established\r\nFairlead-Agent: a\r\n\r\n';
  const bytes = latin1(`${text}\0\xff\r\n\r\n`);
  cutEverywhere(t, bytes, text.length, (readRest, cut) => {
    t.strictSame(readRest(), latin1('\0\xff\r\n\r\n'), `cut at ${cut}`);
  });
  t.strictSame(read('HTTP/1.0 200 OK\r\n\r\n'), Buffer.alloc(0));
});

t.test('fails with the code and the text of a refusal, whatever place it is cut at', async (t) => {
  const body = Buffer.from('kein Agent für node-1\n');
  const head = `HTTP/1.1 503 Service Unavailable\r\nContent-Length: ${body.length}\r\nFairlead-Error:  no_agent \r\n\r\n`;
  const bytes = Buffer.concat([latin1(head), body]);
  cutEverywhere(t, bytes, bytes.length, (readRest, cut) => {
    const expected = { name: 'ClientError', code: 'no_agent', message: 'kein Agent für node-1' };
    t.throws(readRest, expected, `cut at ${cut}`);
  });
});

t.test('fails at once if a refusal announces no body', async (t) => {
  t.throws(() => read('HTTP/1.1 403 Forbidden\r\nX: y\r\n\r\n'), {
    code: 'status_403',
    message: 'CONNECT was answered with "HTTP/1.1 403 Forbidden"',
  });
  t.throws(() => read('HTTP/1.1 407\r\n\r\n'), {
    code: 'status_407',
    message: 'CONNECT was answered with "HTTP/1.1 407"',
  });
});

t.test('a status has three digits', async (t) => {
  for (const status of ['2000', '20', '4031']) {
    t.throws(() => read(`HTTP/1.1 ${status} X\r\n\r\n`), { code: 'proxy_protocol' }, status);
  }
});

t.test('waits for at most 4 KiB of a body', async (t) => {
  const answer = new ConnectAnswer();
  const head = latin1('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000000\r\n\r\n');
  t.equal(answer.push(head), undefined);
  t.equal(answer.push(Buffer.alloc(4095, 'x')), undefined);
  t.throws(() => answer.push(latin1('x')), { code: 'status_502', message: 'x'.repeat(500) });
});

t.test('gives up on a peer that does not answer in HTTP/1.1', async (t) => {
  const code = 'proxy_protocol';
  for (const text of [
    ...['SSH-2.0-OpenSSH_9.6\r\n', 'X', 'HTTX', '\x15\x03\x03\0\x02\x02\x50', ' HTTP/1.1 200'],
    ...['HTTP/2 200\r\n\r\n', 'HTTP/1.2 200 OK\r\n\r\n', 'HTTP/1.1 OK\r\n\r\n', '\r\n\r\n'],
    ...['HTTP/1.1 20\r\n\r\n', 'HTTP/1.1  200 OK\r\n\r\n', 'X HTTP/1.1 403 Forbidden\r\n\r\n'],
    ...['X\nHTTP/1.1 200 OK\r\n\r\n', 'X HTTP/1.1 200 OK\r\n\r\n'],
  ]) {
    t.throws(() => read(text), { name: 'ClientError', code }, JSON.stringify(text));
  }
  t.throws(() => read(`SSH\r${'x'.repeat(50)}`), {
    message: `the peer answered "SSH\\r${'x'.repeat(36)}", which is not HTTP/1.1`,
  });
});

t.test('waits for the end of a head of at most 16 KiB', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\nX: ';
  const answer = new ConnectAnswer();
  t.equal(answer.push(latin1(head.padEnd(16_384, 'x'))), undefined);
  t.throws(() => answer.push(latin1('x')), { code: 'proxy_protocol' });
});

t.test('tells what was received of a refusal that ends early', async (t) => {
  const answer = new ConnectAnswer();
  t.equal(answer.push(latin1('HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\n')), undefined);
  t.equal(answer.refusal(), undefined, 'the head is incomplete');
  t.equal(answer.push(latin1('fairlead-error: policy_denied\r\n\r\ndenied')), undefined);
  t.match(answer.refusal(), { code: 'policy_denied', message: 'denied' });
});

t.test('does not take a value that is not a code for one', async (t) => {
  for (const value of ['', 'No_agent', 'no-agent', 'no_agent;', ' ', '1', 'x'.repeat(65)]) {
    const text = `HTTP/1.1 503 x\r\nfairlead-error: ${value}\r\n\r\n`;
    t.throws(() => read(text), { code: 'status_503' }, value);
    t.equal(refusalOf('503', value, '').code, 'status_503', value);
  }
  t.throws(() => read('HTTP/1.1 503 x\r\nx-fairlead-error: no_agent\r\n\r\n'), {
    code: 'status_503',
  });
  t.equal(refusalOf('503', 'x'.repeat(64), '').code, 'x'.repeat(64));
  t.equal(refusalOf('503', 'x', '').code, 'x');
});

t.test('shows the first line of a body', async (t) => {
  t.match(refusalOf('404', 'no_agent', '\n  no agent \nsecond line\n'), { message: 'no agent ' });
  t.match(refusalOf('404', undefined, ' \n '), { message: 'CONNECT was answered with "404"' });
  t.equal(refusalOf('404', undefined, 'x'.repeat(501)).message, 'x'.repeat(500));
});
