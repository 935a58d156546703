import { toTunnelError } from '@fairlead/protocol';
import { callerName } from '../front-end/caller.ts';
import type { Dial } from '../front-end/front-end-options.ts';
import type { FrontEndPolicy } from '../front-end/front-end-policy.ts';
import type { DialHistory } from './dial-history.ts';

export interface DialGuardOptions {
  /** The policy in force; undefined when there is none. */
  policy(): FrontEndPolicy | undefined;
  readonly history: DialHistory;
  onDenied(): void;
}

/** A dial that asks the front-end policy first, before any agent is looked for, and keeps the history. */
export function guardDial(dial: Dial, { policy, history, onDenied }: DialGuardOptions): Dial {
  return async (target, caller, signal) => {
    const startedAtMs = performance.now();
    const record = (outcome: string, agentId?: string, detail?: string) =>
      history.add(target, {
        at: new Date().toISOString(),
        caller: callerName(caller),
        agentId,
        durationMs: Math.round(performance.now() - startedAtMs),
        outcome,
        detail,
      });
    try {
      policy()?.check(caller, target);
    } catch (thrown) {
      const error = toTunnelError(thrown);
      onDenied();
      record(error.code, undefined, error.message);
      throw error;
    }
    try {
      const dialed = await dial(target, caller, signal);
      record('ok', dialed.agentId);
      return dialed;
    } catch (thrown) {
      const error = toTunnelError(thrown);
      record(error.code, undefined, error.message);
      throw error;
    }
  };
}
