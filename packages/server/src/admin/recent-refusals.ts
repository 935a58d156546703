import { cleanText } from '@fairlead/protocol';
import { type AgentPeer, nameOf } from '../agents/agent-peer.ts';

/** An agent that was refused. */
export interface AgentRefusal {
  /** ISO 8601. */
  readonly at: string;
  readonly address: string;
  /** What its certificate or its token proves; null if nothing. */
  readonly name: string | null;
  readonly reason: string;
}

const maxRefusals = 20;

/** The last agents that were refused, for diagnosis: their operators look here first. */
export class RecentRefusals {
  /** The latest first. */
  #refusals: readonly AgentRefusal[] = [];

  get all(): readonly AgentRefusal[] {
    return this.#refusals;
  }

  /** An agent that tries again replaces its earlier refusal, so that it does not displace those of others. */
  add(peer: AgentPeer, reason: string): void {
    const name = nameOf(peer) ?? null;
    const text = cleanText(reason);
    const others = this.#refusals.filter((other) => other.name !== name || other.reason !== text);
    const refusal = { at: new Date().toISOString(), address: peer.address, name, reason: text };
    this.#refusals = [refusal, ...others].slice(0, maxRefusals);
  }
}
