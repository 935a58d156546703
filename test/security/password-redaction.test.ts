import { connect as connectHttp2 } from 'node:http2';
import { createConnection } from 'node:net';
import { exchangeRaw } from '@fairlead/testkit';
import t from 'tap';
import { startServer } from '../support/fleet.ts';
import { testPki } from './fixture.ts';

const pki = await testPki();

/** Targets that contain a password. */
const targets = [
  'me:passw0rd@host.example:80',
  'http://me:passw0rd@host.example:80',
  'me:p@passw0rd@host.example:80',
  'passw0rd@host.example:80',
  `${'passw0rd'.repeat(20)}@host.example:80`,
];

t.test('the password in a target is redacted in logs and answers', async (t) => {
  const accessLog = pki.path('access.log');
  const server = await startServer(t, { accessLog });
  const answers: string[] = [];
  for (const target of targets) {
    const { text } = await exchangeRaw(server.uds, `CONNECT ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
    answers.push(text);
  }
  const session = connectHttp2('http://localhost', {
    createConnection: () => createConnection(server.uds.path),
  });
  t.teardown(() => session.destroy());
  // HTTP/2 itself refuses a URL as the authority.
  const authorities = targets.filter((target) => !target.includes('/'));
  for (const target of authorities) {
    const stream = session.request({ ':method': 'CONNECT', ':authority': target });
    let answer = '';
    stream.on('response', (headers) => {
      answer += JSON.stringify(headers);
    });
    for await (const chunk of stream) answer += chunk;
    answers.push(answer);
  }
  for (const target of targets) {
    const url = new URL(`/api/v1/why?target=${encodeURIComponent(target)}`, server.adminUrl);
    answers.push(await (await fetch(url)).text());
  }
  for (const answer of answers) {
    t.match(answer, '***@host.example:80', 'the rest of the target is shown');
    t.notMatch(answer, 'passw0rd');
  }
  const refusals = server.log.written.filter((line) => line.includes('host.example'));
  t.equal(refusals.length, targets.length + authorities.length, 'each refusal is logged');
  t.notMatch(server.log.written.join(''), 'passw0rd');
});
