import { z } from 'zod';
import { TunnelError } from './errors.ts';

/** The protocol versions that this package speaks. */
export const PROTOCOL_VERSIONS: readonly number[] = [1];

/** Fields of HELLO, as in docs/spec.md 2.4. Unknown ones are dropped. */
const helloSchema = z.object({
  versions: z.array(z.int().positive()).min(1).max(64).optional(),
  software: z.string().max(255).optional(),
  agentId: z.string().max(255).optional(),
  agentIdentifiers: z.string().max(8192).optional(),
  token: z.string().max(8192).optional(),
  serverId: z.string().max(255).optional(),
  serverCount: z.int().min(1).max(65_535).optional(),
  peers: z.array(z.string().max(262)).max(64).optional(),
  admitted: z.boolean().optional(),
  maxStreams: z.int().positive().optional(),
});

/** What a peer said of itself; see docs/spec.md 2.4. */
export type Hello = { [K in keyof z.infer<typeof helloSchema>]?: z.infer<typeof helloSchema>[K] };

/**
 * Reads the payload of a HELLO frame.
 * @throws TunnelError `protocol_error` that names the field (spec 2.7)
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
 * The version both peers speak (spec 2.5).
 * @throws TunnelError `version_unsupported`
 */
export function agreeOnVersion(theirs: readonly number[] | undefined): number {
  const common = PROTOCOL_VERSIONS.filter((version) => theirs?.includes(version));
  if (common.length === 0) {
    throw new TunnelError(
      'version_unsupported',
      `the peer speaks versions ${theirs?.join(', ') ?? 'unknown'}, this side ${PROTOCOL_VERSIONS.join(', ')}`,
    );
  }
  return Math.max(...common);
}
