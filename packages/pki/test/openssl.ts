import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

const isInstalled = spawnSync('openssl', ['version']).status === 0;

/** For the `skip` option of a test: the reason, or false if openssl is installed. */
export const skipWithoutOpenssl = isInstalled
  ? false
  : 'openssl is not installed, so the certificates are not checked with it';

/** Runs openssl and returns its standard output; rejects with its error. */
export async function openssl(...args: string[]): Promise<string> {
  const { stdout } = await run('openssl', args);
  return stdout;
}
