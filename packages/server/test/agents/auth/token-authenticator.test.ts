import type { TokenReview } from '@fairlead/kubernetes';
import { createLogger } from '@fairlead/runtime/process';
import {
  authorizationsOf,
  createTokenAuthenticator,
  TokenAuthenticator,
} from '@fairlead/server/internal';
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
  const outcomes: string[] = [];
  const authenticator = new TokenAuthenticator({
    wanted,
    onReview: (outcome) => void outcomes.push(outcome),
    now: () => clock.ms,
    review: async (token) => {
      reviewed.push(token);
      return answer(token);
    },
  });
  return {
    clock,
    reviewed,
    outcomes,
    authenticate: (token: string) => authenticator.authenticate([`Bearer ${token}`]),
    authenticateHeaders: (...headers: string[]) => authenticator.authenticate(headers),
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
  const { clock, reviewed, outcomes, authenticate } = start(() => bad);
  const refusal = { code: 'unauthenticated', message: /refused the token: expired$/ };
  await t.rejects(authenticate('a'), refusal);
  clock.ms += 9_000;
  await t.rejects(authenticate('a'), refusal);
  t.equal(reviewed.length, 1);
  clock.ms += 1_000;
  await t.rejects(authenticate('a'), refusal);
  t.equal(reviewed.length, 2);
  t.strictSame(outcomes, ['invalid', 'invalid']);
});

t.test('fails if the API does not answer, and does not cache the failure', async (t) => {
  let isUp = false;
  const { reviewed, outcomes, authenticate } = start((token) => {
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
  t.strictSame(outcomes, ['failed', 'valid']);
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

t.test('keeps the tokens that were reviewed last', async (t) => {
  const { clock, reviewed, authenticate } = start();
  await authenticate('first');
  clock.ms += 30_000;
  for (let count = 1; count < 4_096; count++) await authenticate(`other-${count}`);
  clock.ms += 30_000;
  await authenticate('first');
  await authenticate('another');
  const reviews = reviewed.length;
  await authenticate('first');
  await authenticate('other-2');
  t.equal(reviewed.length, reviews);
  await authenticate('other-1');
  t.equal(reviewed.length, reviews + 1, 'the oldest review is removed');
});

t.test('accepts exactly one bearer token', async (t) => {
  const { reviewed, authenticateHeaders } = start();
  for (const header of ['Bearer abc', 'bearer abc', 'BEARER   abc']) {
    await authenticateHeaders(header);
  }
  t.same(reviewed, ['abc']);
  const code = 'unauthenticated';
  for (const header of [
    ...['', 'Bearer', 'Bearer ', 'Bearerabc', 'Bearer a b', 'Bearer \u00e9', 'Bearer a\n'],
    ...['Basic abc', 'XBearer abc', ' Bearer abc', 'Bearer\tabc'],
  ]) {
    const message = 'the Authorization header is not a bearer token ("Bearer TOKEN")';
    await t.rejects(authenticateHeaders(header), { code, message }, JSON.stringify(header));
  }
  await t.rejects(authenticateHeaders(), {
    code,
    message: 'the agent sent no token: set --service-account-token-path on the agent',
  });
  await t.rejects(authenticateHeaders('Bearer abc', 'Bearer abc'), {
    code,
    message: 'the agent sent 2 tokens: it must send one',
  });
  t.same(reviewed, ['abc']);
});

t.test('finds all Authorization headers of a request, in any case', async (t) => {
  const headers = ['Host', 'authorization', 'Authorization', 'a', 'X', 'y', 'AUTHORIZATION', 'b'];
  t.strictSame(authorizationsOf(headers), ['a', 'b']);
  t.strictSame(authorizationsOf([]), []);
});

t.test('refuses a token of another account or for another audience', async (t) => {
  const notAnAccount = /^the token belongs to ".*", which is not a service account$/;
  const refusals: readonly [Partial<TokenReview>, string | RegExp][] = [
    [{ isAuthenticated: false }, 'the token is invalid according to the Kubernetes API'],
    [{ audiences: [] }, 'the token is not for the audience "servers"'],
    [{ audiences: ['other'] }, 'the token is not for the audience "servers"'],
    [{ username: 'system:node:kube-system:agent' }, notAnAccount],
    [{ username: 'user:serviceaccount:kube-system:agent' }, notAnAccount],
    [{ username: 'system:serviceaccount:kube-system:agent:x' }, notAnAccount],
    [{ username: 'system:serviceaccount:kube-system' }, notAnAccount],
    [{ username: '' }, notAnAccount],
    [
      { username: 'system:serviceaccount:default:agent' },
      'the token belongs to namespace "default", but agents belong to "kube-system" (--agent-namespace)',
    ],
    [
      { username: 'system:serviceaccount:kube-system:other' },
      'the token belongs to service account "other", but agents use "agent" (--agent-service-account)',
    ],
  ];
  for (const [change, message] of refusals) {
    const { authenticate } = start(() => ({ ...validReview, ...change }));
    await t.rejects(authenticate('a'), { code: 'unauthenticated', message }, String(message));
  }
});

t.test('a token for several audiences is accepted', async (t) => {
  const { authenticate } = start(() => ({ ...validReview, audiences: ['other', 'servers'] }));
  t.match(await authenticate('a'), { nodeName: 'node-1' });
});

t.test('a token whose expiry is not a number is reviewed every minute', async (t) => {
  const { clock, reviewed, authenticate } = start();
  const tokens = ['{"exp":"1"}', '{"exp":null}', '{}', 'null', '1', '{'].map(
    (claims) => `head.${Buffer.from(claims).toString('base64url')}.signature`,
  );
  for (const token of tokens) await authenticate(token);
  clock.ms += 59_000;
  for (const token of tokens) await authenticate(token);
  t.equal(reviewed.length, tokens.length);
});

t.test('releases the client of the API', async (t) => {
  let closed = 0;
  const options = { wanted, review: async () => validReview };
  new TokenAuthenticator({ ...options, close: () => void closed++ }).close();
  t.equal(closed, 1);
  t.doesNotThrow(() => new TokenAuthenticator(options).close());
  t.match(await new TokenAuthenticator(options).authenticate(['Bearer a']), { nodeName: 'node-1' });
  const failing = { wanted, review: () => Promise.reject(new Error('gone')) };
  await t.rejects(new TokenAuthenticator(failing).authenticate(['Bearer a']), {
    code: 'authentication_unavailable',
  });
});

t.test('agents need no token unless namespace, account and audience are set', async (t) => {
  const all = { agentNamespace: 'a', agentServiceAccount: 'b', authenticationAudience: 'c' };
  const logger = createLogger('silent', process.stderr);
  for (const missing of Object.keys(all)) {
    const options = { ...all, [missing]: undefined } as unknown as Parameters<
      typeof createTokenAuthenticator
    >[0];
    t.equal(await createTokenAuthenticator(options, logger, () => {}), undefined, missing);
  }
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

t.test('identifies agents by node, and without a node by pod', async (t) => {
  const identityOf = async (...extra: (readonly [string, string])[]) => {
    const { authenticate } = start(() => ({
      ...validReview,
      extra: new Map(extra.map(([key, value]) => [`authentication.kubernetes.io/${key}`, value])),
    }));
    return (await authenticate('a')).identity;
  };
  const onNode = await identityOf(['node-name', 'n'], ['pod-uid', 'p']);
  t.equal(await identityOf(['node-name', 'n'], ['pod-uid', 'p2']), onNode, 'a new pod');
  t.not(await identityOf(['node-name', 'n2'], ['pod-uid', 'p']), onNode);
  t.not(await identityOf(['pod-uid', 'p']), await identityOf(['pod-uid', 'p2']));
  t.equal(await identityOf(), `${validReview.username} `);
});

t.test('identifies a token without a node by its pod', async (t) => {
  const extra = new Map([['authentication.kubernetes.io/pod-uid', 'p-1']]);
  const { authenticate } = start(() => ({ ...validReview, extra }));
  t.match(await authenticate('a'), {
    nodeName: undefined,
    identity: `${validReview.username} p-1`,
  });
});
