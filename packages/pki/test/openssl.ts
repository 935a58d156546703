import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

const isPresent = spawnSync('openssl', ['version']).status === 0;

/** For a test's `skip` option: why it cannot run on this machine, or false. */
export const skipWithoutOpenssl = isPresent
  ? false
  : 'NO OPENSSL ON PATH: the certificates are not checked by a second implementation';

/** Runs openssl and returns its standard output; rejects with its error. */
export async function openssl(...args: string[]): Promise<string> {
  const { stdout } = await run('openssl', args);
  return stdout;
}
