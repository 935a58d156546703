import { readFile } from 'node:fs/promises';
import { eventually } from '@fairlead/testkit';

/** Stops a process, and waits until it stands still. */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await eventually(`process ${pid} stands still`, async () => (await stateOf(pid)) === 'T');
}

/** What the kernel says of a process: a letter such as T for stopped and Z for ended; undefined if it is gone. */
export async function stateOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')')).split(' ')[1];
}

/** Resolves when a process, which can be another one's child, has ended. */
export async function untilGone(pid: number): Promise<void> {
  await eventually(`process ${pid} has ended`, async () => {
    const state = await stateOf(pid);
    return state === undefined || state === 'Z';
  });
}
