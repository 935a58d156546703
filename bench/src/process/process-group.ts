import { readdirSync, readFileSync } from 'node:fs';
import { readProcessStats } from '@fairlead/testkit';

/** The roles of processes. A system without a tunnel has no server and no agent. */
export const roles = ['server', 'agent', 'client', 'target'] as const;
export type Role = (typeof roles)[number];

/** One process and its descendants. sshd, for example, starts a process for each connection. */
export interface RoleProcess {
  readonly role: Role;
  readonly pid: number;
}

/** CPU time and memory of the processes of one role. */
export interface RoleUsage {
  cpuMs: number;
  rssBytes: number;
  /** The sum of the processes' peaks. */
  peakRssBytes: number;
}

/** Reads the usage of the processes and their descendants since their start. Ended processes are omitted. */
export function readUsage(processes: readonly RoleProcess[]): Map<Role, RoleUsage> {
  const usage = new Map<Role, RoleUsage>();
  const children = processes.length > 0 ? childrenByParent() : new Map<number, number[]>();
  for (const { role, pid } of processes) {
    const sum = usage.get(role) ?? { cpuMs: 0, rssBytes: 0, peakRssBytes: 0 };
    usage.set(role, sum);
    for (const member of withDescendants(pid, children)) {
      try {
        const stats = readProcessStats(member);
        sum.cpuMs += stats.cpuMs;
        sum.rssBytes += stats.rssBytes;
        sum.peakRssBytes += stats.peakRssBytes;
      } catch {
        // The process has ended since /proc was listed.
      }
    }
  }
  return usage;
}

function withDescendants(pid: number, children: ReadonlyMap<number, number[]>): number[] {
  const found = [pid];
  for (const member of found) found.push(...(children.get(member) ?? []));
  return found;
}

function childrenByParent(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const parent = parentOf(pid);
    if (parent === undefined) continue;
    const siblings = children.get(parent);
    if (siblings) siblings.push(pid);
    else children.set(parent, [pid]);
  }
  return children;
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The program's name is in parentheses and can contain spaces. State and parent follow the last parenthesis.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
