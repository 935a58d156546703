import type { TokenReview } from '@fairlead/kubernetes';
import { TokenAuthenticator } from '@fairlead/server/internal';
import t from 'tap';

const wanted = { namespace: 'kube-system', serviceAccount: 'agent', audience: 'servers' };
const good: TokenReview = {
  isAuthenticated: true,
  error: undefined,
  audiences: ['servers'],
  username: 'system:serviceaccount:kube-system:agent',
  extra: new Map([['authentication.kubernetes.io/node-name', 'node-1']]),
};

/** An authenticator whose time and API are the test's. */
function start(answer: (token: string) => TokenReview | Promise<TokenReview> = () => good) {
  const clock = { ms: 1_000_000 };
  const asked: string[] = [];
  const authenticator = new TokenAuthenticator({
    wanted,
    now: () => clock.ms,
    review: async (token) => {
      asked.push(token);
      return answer(token);
    },
  });
  return {
    clock,
    asked,
    judge: (token: string) => authenticator.authenticate([`Bearer ${token}`]),
  };
}

/** A JSON Web Token with this expiry. Its signature is not checked here. */
function expiringToken(seconds: number): string {
  const claims = Buffer.from(JSON.stringify({ exp: seconds })).toString('base64url');
  return `head.${claims}.signature`;
}

t.test('accepts a valid token for a minute without asking again', async (t) => {
  const { clock, asked, judge } = start();
  t.match(await judge('a'), {
    username: good.username,
    nodeName: 'node-1',
    identity: `${good.username} node-1`,
  });
  clock.ms += 59_000;
  await judge('a');
  t.same(asked, ['a']);
  await judge('b');
  clock.ms += 1_000;
  await judge('a');
  t.same(asked, ['a', 'b', 'a']);
});

t.test('does not accept a token after its own expiry', async (t) => {
  const { clock, asked, judge } = start();
  const token = expiringToken(1_000 + 20);
  await judge(token);
  clock.ms += 19_000;
  await judge(token);
  t.equal(asked.length, 1);
  clock.ms += 1_000;
  await judge(token);
  t.equal(asked.length, 2);
  await judge(token);
  t.equal(asked.length, 3, 'and nothing is kept of one that has ended');
});

t.test('refuses an invalid token for ten seconds without asking again', async (t) => {
  const bad = { ...good, isAuthenticated: false, error: 'expired' };
  const { clock, asked, judge } = start(() => bad);
  const refusal = { code: 'unauthenticated', message: /refused the token: expired$/ };
  await t.rejects(judge('a'), refusal);
  clock.ms += 9_000;
  await t.rejects(judge('a'), refusal);
  t.equal(asked.length, 1);
  clock.ms += 1_000;
  await t.rejects(judge('a'), refusal);
  t.equal(asked.length, 2);
});

t.test('fails without a verdict, and does not keep the failure', async (t) => {
  let isUp = false;
  const { asked, judge } = start((token) => {
    if (!isUp) throw new Error(`no answer about ${token}\nat all`);
    return good;
  });
  await t.rejects(judge('secret'), {
    code: 'authentication_unavailable',
    message: 'the token cannot be verified: no answer about … at all',
  });
  isUp = true;
  await judge('secret');
  t.equal(asked.length, 2);
});

t.test('asks once for agents that send one token at the same time', async (t) => {
  let answer = (_: TokenReview) => {};
  const { asked, judge } = start(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  const all = Promise.all([judge('a'), judge('a'), judge('a')]);
  answer(good);
  t.equal((await all).length, 3);
  t.equal(asked.length, 1);
});

t.test('keeps a bounded number of reviews, valid ones apart from invalid ones', async (t) => {
  const { asked, judge } = start((token) =>
    token.startsWith('bad') ? { ...good, isAuthenticated: false } : good,
  );
  await judge('good');
  for (let count = 0; count <= 4_096; count++) await judge(`bad-${count}`).catch(() => {});
  await judge('good');
  t.equal(asked.length, 1 + 4_097);
  await judge('bad-0').catch(() => {});
  t.equal(asked.length, 1 + 4_097 + 1, 'the oldest was forgotten');
});

t.test('quotes the API without the token', async (t) => {
  const { judge } = start((token) => ({
    ...good,
    isAuthenticated: false,
    error: `bad token "${token}"`,
  }));
  await t.rejects(judge('secret'), {
    message: 'the Kubernetes API refused the token: bad token "…"',
  });
});

t.test('identifies a token without a node by its pod', async (t) => {
  const extra = new Map([['authentication.kubernetes.io/pod-uid', 'p-1']]);
  const { judge } = start(() => ({ ...good, extra }));
  t.match(await judge('a'), { nodeName: undefined, identity: `${good.username} p-1` });
});
