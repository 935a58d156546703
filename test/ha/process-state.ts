import { readFile } from 'node:fs/promises';
import { eventually } from '@fairlead/testkit';

/** Sends SIGSTOP, and waits until the process has stopped. */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await eventually(`process ${pid} has stopped`, async () => (await stateOf(pid)) === 'T');
}

/** The process state in /proc: T is stopped, Z is a zombie; undefined if the process does not exist. */
export async function stateOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')')).split(' ')[1];
}

/** Waits until a process has ended. It need not be a child of this one. */
export async function untilProcessEnds(pid: number): Promise<void> {
  await eventually(`process ${pid} has ended`, async () => {
    const state = await stateOf(pid);
    return state === undefined || state === 'Z';
  });
}
