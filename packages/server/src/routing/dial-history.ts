import { formatTarget, type Target } from '@fairlead/protocol';

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

const maxTargets = 2_000;
const maxPerTarget = 5;

/** The last dials of the most recent targets, for diagnosis. */
export class DialHistory {
  /** In the order of their last dial. */
  readonly #recordsByTarget = new Map<string, DialRecord[]>();

  add(target: Target, record: DialRecord): void {
    const key = formatTarget(target).toLowerCase();
    const records = this.#recordsByTarget.get(key) ?? [];
    this.#recordsByTarget.delete(key);
    this.#recordsByTarget.set(key, records);
    records.push(record);
    if (records.length > maxPerTarget) records.shift();
    if (this.#recordsByTarget.size <= maxTargets) return;
    const [oldest] = this.#recordsByTarget.keys();
    if (oldest !== undefined) this.#recordsByTarget.delete(oldest);
  }

  /** The latest first. */
  of(target: Target): readonly DialRecord[] {
    return (this.#recordsByTarget.get(formatTarget(target).toLowerCase()) ?? []).toReversed();
  }
}
