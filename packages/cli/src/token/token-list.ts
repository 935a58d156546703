import {
  checkTokenPlace,
  isExpired,
  type StoredToken,
  tokenPlaceOptions,
} from '@fairlead/pki/issuer';
import { defineOptions, kinds, option, type ParsedOptions } from '@fairlead/runtime/options';
import { printableAll, release, runCommand } from '@fairlead/runtime/process';
import { columns } from '../admin/columns.ts';
import type { CommandEntry } from '../command-set.ts';
import { withTokenStore } from './token-store-use.ts';

const table = defineOptions({
  program: 'fairlead token list',
  summary: 'Show the tokens that there are, and who redeemed them',
  options: {
    ...tokenPlaceOptions,
    json: option(kinds.boolean, {
      group: 'Output',
      description: 'Print JSON, for programs',
      default: false,
    }),
  },
  check: checkTokenPlace,
});

async function run({ options }: ParsedOptions<typeof table.options>): Promise<void> {
  const listed = await withTokenStore(options, 'find', (store) => store.list());
  const tokens = [...listed].sort((a, b) => a.record.createdAt.localeCompare(b.record.createdAt));
  process.stdout.write(
    options.json ? `${JSON.stringify(tokens.map(shown))}\n` : rows(printableAll(tokens)),
  );
}

/** `fairlead token list`. */
export const tokenList: CommandEntry = {
  summary: table.summary,
  run: (argv) => runCommand({ table, ...release, run }, { argv, env: process.env }),
};

/** All but the hash of the token, which is nobody's business. */
function shown(token: StoredToken) {
  const { hash: _, ...record } = token.record;
  const { claimedAt, address } = token.claim ?? {};
  return { ...record, state: stateOf(token), claimedAt, address };
}

function stateOf({ record, claim }: StoredToken): 'redeemed' | 'expired' | 'open' {
  if (claim) return 'redeemed';
  return isExpired(record) ? 'expired' : 'open';
}

function rows(tokens: readonly StoredToken[]): string {
  if (tokens.length === 0) return 'no tokens\n';
  const lines = tokens.map((token) => {
    const { id, agentId, hosts, ips, cidrs, defaultRoute, expiresAt } = token.record;
    const claims = [...hosts, ...ips, ...cidrs, ...(defaultRoute ? ['default-route'] : [])];
    const by = token.claim ? `${token.claim.claimedAt} ${token.claim.address}` : '-';
    return [id, agentId, stateOf(token), expiresAt, by, claims.join(' ') || '-'];
  });
  const head = ['ID', 'AGENT', 'STATE', 'EXPIRES', 'REDEEMED', 'MAY CLAIM'];
  return `${columns([head, ...lines]).join('\n')}\n`;
}
