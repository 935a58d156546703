import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** A process that outlived what started it. */
export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/** What marks a process as one of a run: its process group, or a variable in its environment. */
export interface Mark {
  /** The group of a test file's process. */
  readonly group?: number;
  /** The value of `markVariable`, or the start of it. */
  readonly value: string;
}

/** The variable that every process of a test file inherits. */
export const markVariable = 'FAIRLEAD_TEST_RUN';

/** The living processes with this mark. Without /proc only the process group is looked at. */
export function findLeftovers(mark: Mark): Leftover[] {
  let entries: string[];
  try {
    entries = readdirSync('/proc');
  } catch {
    return mark.group === undefined ? [] : membersByPs(mark.group);
  }
  return entries.filter((name) => /^\d+$/.test(name)).flatMap((name) => inspect(name, mark));
}

function inspect(pid: string, { group, value }: Mark): Leftover[] {
  try {
    // The command in brackets can hold spaces and brackets; the state follows the last bracket.
    const [, state, , pgrp] = /^.*\) (\S) (\S+) (\S+)/s.exec(
      readFileSync(`/proc/${pid}/stat`, 'utf8'),
    )!;
    if (state === 'Z' || Number(pid) === process.pid) return [];
    const isMember = group !== undefined && Number(pgrp) === group;
    if (!isMember && !environmentOf(pid).includes(`\0${markVariable}=${value}`)) return [];
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return [{ pid: Number(pid), command }];
  } catch {
    // It ended while it was looked at, or belongs to another user.
    return [];
  }
}

function environmentOf(pid: string): string {
  return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`;
}

function membersByPs(group: number): Leftover[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,pgid=,stat=,command='], { encoding: 'utf8' });
  return table.split('\n').flatMap((row) => {
    const [, pid, pgid, state, command = ''] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(row) ?? [];
    if (Number(pgid) !== group || state?.startsWith('Z')) return [];
    return [{ pid: Number(pid), command }];
  });
}

/** Kills processes; those that have ended meanwhile are passed over. */
export function killAll(leftovers: readonly Leftover[]): void {
  for (const { pid } of leftovers) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {}
  }
}
