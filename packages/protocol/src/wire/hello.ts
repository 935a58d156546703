import { z } from 'zod';
import { TunnelError } from './errors.ts';

/** The protocol versions that this package speaks. */
export const PROTOCOL_VERSIONS: readonly number[] = [1];

/** Limits of HELLO's fields (docs/spec.md 2.4). Options that fill a field check the same limit. */
export const HELLO_LIMITS = {
  versions: 64,
  softwareChars: 255,
  idChars: 255,
  identifiersChars: 8_192,
  tokenChars: 8_192,
  servers: 65_535,
  peers: 64,
  /** Of `host:port`; a host has at most 253 bytes (spec 3.4). */
  peerChars: 262,
} as const;

const id = z.string().max(HELLO_LIMITS.idChars);

/** Fields of HELLO, as in docs/spec.md 2.4. Unknown ones are dropped. */
const helloSchema = z.object({
  versions: z.array(z.int().positive()).min(1).max(HELLO_LIMITS.versions).optional(),
  software: z.string().max(HELLO_LIMITS.softwareChars).optional(),
  agentId: id.optional(),
  agentIdentifiers: z.string().max(HELLO_LIMITS.identifiersChars).optional(),
  token: z.string().max(HELLO_LIMITS.tokenChars).optional(),
  serverId: id.optional(),
  serverCount: z.int().min(1).max(HELLO_LIMITS.servers).optional(),
  peers: z.array(z.string().max(HELLO_LIMITS.peerChars)).max(HELLO_LIMITS.peers).optional(),
  admitted: z.boolean().optional(),
  maxStreams: z.int().positive().optional(),
});

/** What a peer says about itself (docs/spec.md 2.4). */
export type Hello = { [K in keyof z.infer<typeof helloSchema>]?: z.infer<typeof helloSchema>[K] };

/**
 * Reads the payload of a HELLO frame.
 * @throws TunnelError `protocol_error` whose text names the field (spec 2.7)
 */
export function parseHello(payload: Buffer): Hello {
  let json: unknown;
  try {
    json = JSON.parse(payload.toString('utf8'));
  } catch {
    throw new TunnelError('protocol_error', 'HELLO is not JSON');
  }
  const result = helloSchema.safeParse(json);
  if (result.success) return result.data as Hello;
  const issue = result.error.issues[0];
  const where = issue?.path.length ? `field ${issue.path.join('.')} of HELLO` : 'HELLO';
  throw new TunnelError('protocol_error', `${where}: ${issue?.message}`);
}

/**
 * The highest version that both peers speak (spec 2.5).
 * @throws TunnelError `version_unsupported`
 */
export function agreeOnVersion(peerVersions: readonly number[] | undefined): number {
  const common = PROTOCOL_VERSIONS.filter((version) => peerVersions?.includes(version));
  if (common.length === 0) {
    throw new TunnelError(
      'version_unsupported',
      `the peer speaks versions ${peerVersions?.join(', ') ?? 'unknown'}, this side ${PROTOCOL_VERSIONS.join(', ')}`,
    );
  }
  return Math.max(...common);
}
