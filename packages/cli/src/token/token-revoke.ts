import { checkTokenPlace, tokenPlaceOptions } from '@fairlead/pki/issuer';
import { defineOptions, type ParsedOptions } from '@fairlead/runtime/options';
import { release, runCommand, UsageError } from '@fairlead/runtime/process';
import { isEnrollmentId } from '@fairlead/runtime/tls';
import type { CommandEntry } from '../command-set.ts';
import { withTokenStore } from './token-store-use.ts';

const table = defineOptions({
  program: 'fairlead token revoke',
  summary: 'Take a token away, so that nobody joins by it any more',
  positionals: { usage: 'ID', min: 1, max: 1 },
  options: { ...tokenPlaceOptions },
  check: checkTokenPlace,
});

async function run({
  options,
  positionals: [given = ''],
}: ParsedOptions<typeof table.options>): Promise<void> {
  // Whoever pastes the whole token means its ID; the rest is not for the screen.
  const [id = ''] = given.split('.');
  if (!isEnrollmentId(id)) {
    throw new UsageError('the ID of a token is the part before its dot, as token list shows it');
  }
  const { claim, isRemoved } = await withTokenStore(options, 'find', async (store) => ({
    claim: (await store.get(id))?.claim,
    isRemoved: await store.remove(id),
  }));
  if (!isRemoved) {
    throw new UsageError(`there is no token ${id}; fairlead token list shows those that there are`);
  }
  process.stdout.write(
    claim === undefined
      ? `Revoked ${id}.\n`
      : `Removed ${id}, which was redeemed already: to shut that agent out write enrollment:${id} into --agent-denylist.\n`,
  );
}

/** `fairlead token revoke ID`. */
export const tokenRevoke: CommandEntry = {
  summary: table.summary,
  run: (argv) => runCommand({ table, ...release, run }, { argv, env: process.env }),
};
