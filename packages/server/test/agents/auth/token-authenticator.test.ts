import type { TokenReview } from '@fairlead/kubernetes';
import { TokenAuthenticator } from '@fairlead/server/internal';
import t from 'tap';

const wanted = { namespace: 'kube-system', serviceAccount: 'agent', audience: 'servers' };
const validReview: TokenReview = {
  isAuthenticated: true,
  error: undefined,
  audiences: ['servers'],
  username: 'system:serviceaccount:kube-system:agent',
  extra: new Map([['authentication.kubernetes.io/node-name', 'node-1']]),
};

/** Starts an authenticator with a clock and an API that the test controls. */
function start(answer: (token: string) => TokenReview | Promise<TokenReview> = () => validReview) {
  const clock = { ms: 1_000_000 };
  const reviewed: string[] = [];
  const authenticator = new TokenAuthenticator({
    wanted,
    now: () => clock.ms,
    review: async (token) => {
      reviewed.push(token);
      return answer(token);
    },
  });
  return {
    clock,
    reviewed,
    authenticate: (token: string) => authenticator.authenticate([`Bearer ${token}`]),
  };
}

/** A JSON Web Token with this expiry. Its signature is not checked. */
function expiringToken(seconds: number): string {
  const claims = Buffer.from(JSON.stringify({ exp: seconds })).toString('base64url');
  return `head.${claims}.signature`;
}

t.test('accepts a valid token for a minute without another review', async (t) => {
  const { clock, reviewed, authenticate } = start();
  t.match(await authenticate('a'), {
    username: validReview.username,
    nodeName: 'node-1',
    identity: `${validReview.username} node-1`,
  });
  clock.ms += 59_000;
  await authenticate('a');
  t.same(reviewed, ['a']);
  await authenticate('b');
  clock.ms += 1_000;
  await authenticate('a');
  t.same(reviewed, ['a', 'b', 'a']);
});

t.test('does not accept a token after its own expiry', async (t) => {
  const { clock, reviewed, authenticate } = start();
  const token = expiringToken(1_000 + 20);
  await authenticate(token);
  clock.ms += 19_000;
  await authenticate(token);
  t.equal(reviewed.length, 1);
  clock.ms += 1_000;
  await authenticate(token);
  t.equal(reviewed.length, 2);
  await authenticate(token);
  t.equal(reviewed.length, 3, 'an expired token is not cached');
});

t.test('refuses an invalid token for ten seconds without another review', async (t) => {
  const bad = { ...validReview, isAuthenticated: false, error: 'expired' };
  const { clock, reviewed, authenticate } = start(() => bad);
  const refusal = { code: 'unauthenticated', message: /refused the token: expired$/ };
  await t.rejects(authenticate('a'), refusal);
  clock.ms += 9_000;
  await t.rejects(authenticate('a'), refusal);
  t.equal(reviewed.length, 1);
  clock.ms += 1_000;
  await t.rejects(authenticate('a'), refusal);
  t.equal(reviewed.length, 2);
});

t.test('fails if the API does not answer, and does not cache the failure', async (t) => {
  let isUp = false;
  const { reviewed, authenticate } = start((token) => {
    if (!isUp) throw new Error(`no answer about ${token}\nat all`);
    return validReview;
  });
  await t.rejects(authenticate('secret'), {
    code: 'authentication_unavailable',
    message: 'the token cannot be verified: no answer about … at all',
  });
  isUp = true;
  await authenticate('secret');
  t.equal(reviewed.length, 2);
});

t.test('requests one review for agents that send the same token at the same time', async (t) => {
  let answer = (_: TokenReview) => {};
  const { reviewed, authenticate } = start(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  const all = Promise.all([authenticate('a'), authenticate('a'), authenticate('a')]);
  answer(validReview);
  t.equal((await all).length, 3);
  t.equal(reviewed.length, 1);
});

t.test('caches a bounded number of reviews, separately for valid and invalid tokens', async (t) => {
  const { reviewed, authenticate } = start((token) =>
    token.startsWith('bad') ? { ...validReview, isAuthenticated: false } : validReview,
  );
  await authenticate('good');
  for (let count = 0; count <= 4_096; count++) await authenticate(`bad-${count}`).catch(() => {});
  await authenticate('good');
  t.equal(reviewed.length, 1 + 4_097);
  await authenticate('bad-0').catch(() => {});
  t.equal(reviewed.length, 1 + 4_097 + 1, 'the oldest review is removed');
});

t.test("removes the token from the API's error", async (t) => {
  const { authenticate } = start((token) => ({
    ...validReview,
    isAuthenticated: false,
    error: `bad token "${token}"`,
  }));
  await t.rejects(authenticate('secret'), {
    message: 'the Kubernetes API refused the token: bad token "…"',
  });
});

t.test('identifies a token without a node by its pod', async (t) => {
  const extra = new Map([['authentication.kubernetes.io/pod-uid', 'p-1']]);
  const { authenticate } = start(() => ({ ...validReview, extra }));
  t.match(await authenticate('a'), {
    nodeName: undefined,
    identity: `${validReview.username} p-1`,
  });
});
