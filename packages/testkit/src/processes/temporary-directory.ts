import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Started } from '../targets/listener.ts';

/**
 * Makes an empty directory with a short path, because the path of a Unix domain socket can have at most
 * 107 bytes. `close` removes it.
 */
export async function makeTemporaryDirectory(): Promise<Started & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'fairlead-'));
  return { path, close: () => rm(path, { recursive: true, force: true }) };
}
