import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runCommand } from './run-fairlead.ts';

/** A hostile name of an agent or a certificate. */
const hostile = '\u001b[2Ja\r\nforged\u0085\u009b1m\u202eb\u2028\u2029c\u007f';
const escaped = '\\u001b[2Ja\\u000d\\u000aforged\\u0085\\u009b1m\\u202eb\\u2028\\u2029c\\u007f';

/** Starts an admin port that gives the same answer to every request. */
async function adminPort(t: Test, body: string, status = 200): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status).end(body));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Starts a front end that refuses every CONNECT with this text, and returns its path. */
async function frontEnd(t: Test, text: string): Promise<string> {
  // The path of `t.testdir()` is too long for a socket.
  const directory = mkdtempSync(join(tmpdir(), 'fairlead-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'front-end.sock');
  const head = 'HTTP/1.1 502 Bad Gateway\r\nfairlead-error: target_refused\r\n\r\n';
  const server = createServer();
  server.on('connect', (_, socket) => socket.end(head + text));
  server.listen(path);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return path;
}

const agent = (agentId: string) => ({
  ...{ agentId, address: hostile, commonName: agentId, account: null, node: null },
  ...{ covered: [], uncovered: [hostile], transport: hostile, isDraining: false },
  ...{ worker: 1, isSilent: false, isFailing: false, streams: 1, minRttMs: 1 },
  ...{ receivedBytes: 0, sentBytes: 0 },
});

const status = (...names: string[]) => ({
  ...{ version: hostile, serverId: hostile, streams: 0, agentAuthorization: hostile },
  conflicts: [{ claim: hostile, agents: [{ agentId: hostile, address: hostile }] }],
  workers: [{ worker: 1, serverId: '', pid: 1, state: hostile, reason: hostile, replacements: 0 }],
  agents: names.map(agent),
});

const why = {
  target: hostile,
  policy: { callers: [{ caller: hostile, isAllowed: true, reason: hostile }] },
  routing: { strategy: hostile, matches: 1, agents: [agent(hostile)], choice: hostile },
  dials: [
    {
      at: hostile,
      caller: hostile,
      agentId: hostile,
      outcome: hostile,
      durationMs: 1,
      detail: hostile,
    },
  ],
};

const safe = /^[ -~…\n]*$/;

t.test('names in an answer are escaped', async (t) => {
  for (const [argv, answer] of [
    [['status'], status(hostile)],
    [['why', 'a:1'], why],
  ] as const) {
    const body = JSON.stringify(answer);
    const admin = await adminPort(t, body);
    const shown = await runCommand([...argv, '--admin', admin]);
    t.match(shown, { code: 0, stderr: '', stdout: safe }, argv[0]);
    t.ok(shown.stdout.includes(escaped), 'the whole name is shown');
    t.notMatch(shown.stdout, /^forged/m);
    const json = await runCommand([...argv, '--admin', admin, '--json']);
    t.equal(json.stdout, `${body}\n`, 'JSON is not changed');
  }
});

t.test('the text of a refusal of the admin port is escaped and cut', async (t) => {
  for (const code of [400, 500]) {
    const admin = await adminPort(t, hostile.repeat(1_000), code);
    for (const argv of [['status'], ['why', 'a:1']]) {
      const { stdout, stderr } = await runCommand([...argv, '--admin', admin]);
      t.match({ stdout, stderr }, { stdout: '', stderr: safe });
      t.equal(stderr.split('\n').length, 2, 'one line');
      t.ok(stderr.length < 5_000, 'the text is cut');
    }
  }
});

t.test('the text of a refusal of a front end is escaped', async (t) => {
  const path = await frontEnd(t, hostile.replaceAll('\n', ''));
  const { code, stdout, stderr } = await runCommand([
    ...['bench', '--proxy', `unix:${path}`, '--target', 'http://a:1/'],
  ]);
  t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: safe });
  t.ok(stderr.includes(escaped.replace('\\u000a', '')), 'the whole text is shown');
});

t.test('a long name is cut in a table', async (t) => {
  const admin = await adminPort(t, JSON.stringify(status('x'.repeat(255), 'short')));
  const { stdout } = await runCommand(['status', '--admin', admin]);
  t.ok(stdout.includes(`\n1       ${'x'.repeat(63)}…  \\u001b`), 'cut');
  t.ok(
    stdout.includes(`\n1       ${'short'.padEnd(64)}  \\u001b`),
    'the column has the width of the cut name',
  );
  t.ok(
    stdout.includes(`\n${'x'.repeat(255)}: its certificate`),
    'the name is complete outside of the table',
  );
});
