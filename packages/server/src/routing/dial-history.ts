import { formatTarget, type Target } from '@fairlead/protocol';
import { type Caller, callerName } from '../front-end/caller.ts';

export interface DialRecord {
  /** With `--workers`: the worker that dialed. */
  readonly worker?: number;
  /** ISO 8601. */
  readonly at: string;
  readonly caller: string;
  /** Undefined if no agent was reached. */
  readonly agentId: string | undefined;
  readonly durationMs: number;
  /** `ok`, or the error's code. */
  readonly outcome: string;
  readonly detail: string | undefined;
}

/** What a dial leaves; its texts are made when they are read. */
interface DialResult extends Pick<DialRecord, 'agentId' | 'durationMs' | 'outcome' | 'detail'> {
  readonly atMs: number;
  readonly caller: Caller;
}

const maxTargets = 2_000;
const maxPerTarget = 5;

/** The last dials of the most recent targets, for diagnosis. */
export class DialHistory {
  /** In the order of their last dial. */
  readonly #resultsByTarget = new Map<string, DialResult[]>();

  add(target: Target, result: DialResult): void {
    const key = formatTarget(target).toLowerCase();
    const results = this.#resultsByTarget.get(key) ?? [];
    this.#resultsByTarget.delete(key);
    this.#resultsByTarget.set(key, results);
    results.push(result);
    if (results.length > maxPerTarget) results.shift();
    if (this.#resultsByTarget.size <= maxTargets) return;
    const [oldest] = this.#resultsByTarget.keys();
    if (oldest !== undefined) this.#resultsByTarget.delete(oldest);
  }

  /** The latest first. */
  of(target: Target): readonly DialRecord[] {
    const results = this.#resultsByTarget.get(formatTarget(target).toLowerCase()) ?? [];
    return results.toReversed().map(({ atMs, caller, ...result }) => ({
      at: new Date(atMs).toISOString(),
      caller: callerName(caller),
      ...result,
    }));
  }
}
