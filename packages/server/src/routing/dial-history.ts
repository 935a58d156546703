import { formatTarget, type Target } from '@fairlead/protocol';

/** How one dial went. */
export interface DialRecord {
  /** With `--workers`: who dialled. */
  readonly worker?: number;
  /** ISO 8601. */
  readonly at: string;
  readonly caller: string;
  /** Undefined when no agent was reached. */
  readonly agentId: string | undefined;
  readonly durationMs: number;
  /** `ok`, or the error's code. */
  readonly outcome: string;
  readonly detail: string | undefined;
}

const maxTargets = 2_000;
const maxPerTarget = 5;

/** The last dials to the targets that were asked for last; what operators ask about first. */
export class DialHistory {
  /** The target that was dialled last is the last one here. */
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
