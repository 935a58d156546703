import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority } from '@fairlead/pki';
import { caHash } from '@fairlead/pki/enrollment';
import t from 'tap';
import { runCommand } from '../run-fairlead.ts';

/** Creates a CA's certificate and the path of a token store. */
async function createPaths(t: { testdir(): string }) {
  const dir = t.testdir();
  const authority = await createAuthority({ name: 'CA' });
  const caCert = join(dir, 'ca.crt');
  await writeFile(caCert, authority.certPem);
  return { tokens: join(dir, 'tokens'), caCert, hash: caHash(authority.certificate) };
}

t.test('creates, lists and revokes a token', async (t) => {
  const { tokens, caCert, hash } = await createPaths(t);
  const made = await runCommand([
    ...['token', 'create', '--token-dir', tokens, '--ca-cert', caCert, '--agent-id', 'node-7'],
    ...['--host', 'node-7.example', '--cidr', '10.1.0.0/16-24', '--default-route', '--ttl', '48h'],
  ]);
  t.match(made, { code: 0, stderr: '' });
  const [, token = ''] = /^token {4}(\S+)$/m.exec(made.stdout) ?? [];
  const [id = '', secret = ''] = token.split('.');
  t.match(made.stdout, `ca-hash  ${hash}\n`);
  t.match(made.stdout, `--enrollment-ca-hash ${hash} `);
  const listed = await runCommand(['token', 'list', '--token-dir', tokens]);
  t.match(
    listed.stdout,
    new RegExp(`^${id} +node-7 +open .* node-7.example 10.1.0.0/16-24 default-route$`, 'm'),
  );
  const json = await runCommand(['token', 'list', '--json', '--token-dir', tokens]);
  const [row] = JSON.parse(json.stdout) as Record<string, unknown>[];
  t.match(row, { id, agentId: 'node-7', state: 'open', defaultRoute: true });
  t.notOk(row && 'hash' in row);
  const leftMs = Date.parse(String(row?.expiresAt)) - Date.now();
  t.ok(leftMs > 47 * 3_600_000 && leftMs <= 48 * 3_600_000);
  for (const { stdout } of [listed, json]) t.notMatch(stdout, secret);
  const revoked = await runCommand(['token', 'revoke', token, '--token-dir', tokens]);
  t.same(revoked, { code: 0, stdout: `Revoked ${id}.\n`, stderr: '' });
  t.same(await readdir(tokens), []);
  const again = await runCommand(['token', 'revoke', id, '--token-dir', tokens]);
  t.match(again, { code: 2, stderr: `fairlead token revoke: there is no token ${id}; ` });
  t.match(await runCommand(['token', 'list', '--token-dir', tokens]), { stdout: 'no tokens\n' });
});

t.test('list and revoke fail if the directory does not exist', async (t) => {
  const { tokens } = await createPaths(t);
  for (const argv of [['list'], ['revoke', 'abcdefghijkl']]) {
    const { code, stderr } = await runCommand(['token', ...argv, '--token-dir', tokens]);
    t.equal(code, 1);
    t.match(
      stderr,
      `--token-dir: ${tokens}: no such directory; give the one that tokens were made`,
    );
  }
  t.notOk(existsSync(tokens), 'the directory is not created');
});

t.test('invalid arguments exit with 2 and one line', async (t) => {
  const { tokens, caCert } = await createPaths(t);
  const create = ['create', '--token-dir', tokens, '--ca-cert', caCert];
  const invalid: [argv: string[], line: RegExp][] = [
    [[], /a command is missing; the commands are create, list, revoke$/],
    [['list'], /^fairlead token list: --token-dir is missing: give the directory/],
    [
      ['list', '--token-dir', tokens, '--token-namespace', 'x'],
      /list: --token-dir and --token-namespace are both given/,
    ],
    [
      ['list', '--token-namespace', 'a_b'],
      /--token-namespace: "a_b" is not a valid namespace name/,
    ],
    [['list', '--token-namespace', 'a'], /--kubeconfig is missing, and this process does not run/],
    [
      ['list', '--token-namespace', 'a', '--kubeconfig', '/none'],
      /--kubeconfig: \/none: file not found/,
    ],
    [create, /--agent-id is missing/],
    [[...create, '--agent-id', 'n', '--host', 'a b'], /--host: "a b" is not a DNS name$/],
    [
      [...create, '--agent-id', 'n', '--host', ''],
      /--host: "" names none; leave it out or name one$/,
    ],
    [[...create, '--agent-id', 'n', '--cidr='], /--cidr: "" names none; leave it out or name one$/],
    [
      [...create, '--agent-id', 'n', '--host', 'a.example,*.example'],
      /--host: "\*\.example" covers nothing that an agent may claim; name each host$/,
    ],
    [[...create, '--agent-id', 'n', '--ip', '1.2'], /--ip: "1\.2" is not an IPv4/],
    [[...create, '--agent-id', 'n', '--cidr', '10.0.0.1/8'], /--cidr: .*has bits set/],
    [[...create, '--agent-id', 'x'.repeat(65)], /--agent-id: .*longer than 64/],
    [[...create, '--agent-id', 'n', '--ttl', '31d'], /--ttl: "31d" is not a duration/],
    [[...create, '--agent-id', 'n', '--ttl', '721h'], /--ttl: "721h" is longer than 30 days$/],
    [['create', '--token-dir', tokens, '--agent-id', 'n'], /--ca-cert is missing/],
    [['revoke', '--token-dir', tokens], /an argument is missing/],
    [['revoke', '../x', '--token-dir', tokens], /the ID of a token is the part before its dot/],
  ];
  for (const [argv, line] of invalid) {
    const ended = await runCommand(['token', ...argv]);
    t.match(ended, { code: 2, stdout: '' }, argv.join(' '));
    t.equal(ended.stderr.split('\n').length, 2, 'one line');
    t.match(ended.stderr.trimEnd(), line);
  }
});
