import {
  checkTokenStoreOptions,
  isExpired,
  type StoredToken,
  tokenStoreOptions,
} from '@fairlead/pki/issuer';
import { defineOptions } from '@fairlead/runtime/options';
import { printableAll } from '@fairlead/runtime/process';
import { columns } from '../admin/columns.ts';
import { commandEntry } from '../command-set.ts';
import { jsonOption, withTokenStore } from './with-token-store.ts';

const table = defineOptions({
  program: 'fairlead token list',
  summary: 'Show the tokens, and which agents redeemed them',
  examples: ['fairlead token list --token-dir tokens'],
  options: { ...tokenStoreOptions, ...jsonOption },
  check: checkTokenStoreOptions,
});

export const tokenList = commandEntry(table, async ({ options }) => {
  const listed = await withTokenStore(options, 'find', (store) => store.list());
  const tokens = [...listed].sort((a, b) => a.record.createdAt.localeCompare(b.record.createdAt));
  process.stdout.write(
    options.json ? `${JSON.stringify(tokens.map(shown))}\n` : rows(printableAll(tokens)),
  );
});

/** A token without its hash. */
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
