import { checkTokenStoreOptions, tokenStoreOptions } from '@fairlead/pki/issuer';
import { defineOptions } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import { isEnrollmentId } from '@fairlead/runtime/tls';
import { commandEntry } from '../command-set.ts';
import { withTokenStore } from './with-token-store.ts';

const table = defineOptions({
  program: 'fairlead token revoke',
  summary: 'Delete a token, so that no agent can join with it',
  examples: ['fairlead token revoke --token-dir tokens ID'],
  positionals: { usage: 'ID', min: 1, max: 1 },
  options: tokenStoreOptions,
  check: checkTokenStoreOptions,
});

export const tokenRevoke = commandEntry(table, async ({ options, positionals: [given = ''] }) => {
  // Accepts a whole token, but never prints its secret.
  const [id = ''] = given.split('.');
  if (!isEnrollmentId(id)) {
    throw new UsageError('the ID of a token is the part before its dot, as token list shows it');
  }
  const { claim, isRemoved } = await withTokenStore(options, 'find', async (store) => ({
    claim: (await store.get(id))?.claim,
    isRemoved: await store.remove(id),
  }));
  if (!isRemoved) {
    throw new UsageError(`there is no token ${id}; fairlead token list shows all tokens`);
  }
  process.stdout.write(
    claim === undefined
      ? `Revoked ${id}.\n`
      : `Removed ${id}, which was already redeemed: to disconnect that agent, add enrollment:${id} to --agent-denylist.\n`,
  );
});
