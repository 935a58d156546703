import { makeToken } from '@fairlead/pki/enrollment';
import { isExpired, recordOf, type TokenClaim, type TokenStore } from '@fairlead/pki/issuer';
import type { Test } from 'tap';

export const grant = { agentId: 'n', hosts: ['h'], ips: [], cidrs: [], defaultRoute: false };

export const claimOf = (keyHash: string): TokenClaim => ({
  keyHash,
  claimedAt: new Date().toISOString(),
  address: '192.0.2.1:1',
});

/** The contract of a token store. @param open returns a function that opens stores of the same tokens */
export async function tokenStoreContract(
  t: Test,
  open: (t: Test) => Promise<() => Promise<TokenStore>>,
) {
  t.test('all stores of the same tokens have an added token', async (t) => {
    const another = await open(t);
    const store = await another();
    const token = makeToken();
    const record = recordOf(token, grant, 60_000);
    t.same(await store.list(), []);
    t.equal(await store.get(token.id), undefined);
    await store.add(record);
    t.same(await store.get(token.id), { record, claim: undefined });
    t.same(await (await another()).list(), [{ record, claim: undefined }]);
    await t.rejects(store.add(record), {
      name: 'TokenStoreError',
      message: /^token \w+ already exists$/,
    });
    t.notOk(isExpired(record));
    t.ok(isExpired(record, new Date(Date.now() + 60_001)));
  });

  t.test('only one of many claims through several stores succeeds', async (t) => {
    const another = await open(t);
    const stores = await Promise.all([another(), another(), another()]);
    for (let round = 0; round < 20; round++) {
      const record = recordOf(makeToken(), grant, 60_000);
      await stores[0]!.add(record);
      const claims = await Promise.all(
        Array.from({ length: 9 }, (_, index) =>
          stores[index % 3]!.claim(record.id, claimOf(`${index}`)),
        ),
      );
      t.equal(
        new Set(claims.map((claim) => claim?.keyHash)).size,
        1,
        'all claims return the claim that succeeded',
      );
      t.same((await stores[1]!.get(record.id))?.claim, claims[0]);
      t.same(await stores[2]!.claim(record.id, claimOf('late')), claims[0]);
    }
  });

  t.test('a removed token cannot be claimed', async (t) => {
    const store = await (await open(t))();
    const record = recordOf(makeToken(), grant, 60_000);
    await store.add(record);
    await store.claim(record.id, claimOf('first'));
    t.equal(await store.remove(record.id), true);
    t.equal(await store.remove(record.id), false);
    t.equal(await store.get(record.id), undefined);
    t.equal(await store.claim(record.id, claimOf('late')), undefined);
  });
}
