import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Started } from '../targets/listener.ts';

/** A directory that goes away with `close`. */
export interface TemporaryDirectory extends Started {
  readonly path: string;
}

/**
 * Makes an empty directory with a short path: the path of a Unix domain socket may have 107 bytes
 * at most, which a directory inside the repository can exceed.
 */
export async function makeTemporaryDirectory(): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'fairlead-'));
  return { path, close: () => rm(path, { recursive: true, force: true }) };
}
