import type { TunnelError } from '@fairlead/protocol';

const MAX_FAILURES_IN_ROW = 3;
const MIN_REST_MS = 1_000;
const MAX_REST_MS = 30_000;

/**
 * Detects an agent that cannot dial, such as one without descriptors or without a route. Such an agent fails at once and
 * so has little load: without this, it would attract the dials. It rests, and each further failure doubles its next rest.
 */
export class DialFailures {
  isFailing = false;
  readonly #onChange: (lastError?: TunnelError) => void;
  #inRow = 0;
  #restMs = MIN_REST_MS;
  #timer: NodeJS.Timeout | undefined;

  /** @param onChange called after `isFailing` has changed, with the last failure if it is true now */
  constructor(onChange: (lastError?: TunnelError) => void) {
    this.#onChange = onChange;
  }

  /** @param error of a dial; undefined if it succeeded */
  record(error?: TunnelError): void {
    if (error?.code === 'agent_failed') {
      this.#inRow++;
      if (this.#inRow >= MAX_FAILURES_IN_ROW && !this.isFailing) this.#rest(error);
    } else if (this.#inRow > 0 && provesHealth(error)) {
      this.#inRow = 0;
      this.#restMs = MIN_REST_MS;
      this.#end();
    }
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #rest(error: TunnelError): void {
    this.#timer = setTimeout(() => this.#end(), this.#restMs).unref();
    this.#restMs = Math.min(2 * this.#restMs, MAX_REST_MS);
    this.isFailing = true;
    this.#onChange(error);
  }

  #end(): void {
    if (!this.isFailing) return;
    clearTimeout(this.#timer);
    this.isFailing = false;
    this.#onChange();
  }
}

/** Other failures can come before the agent's part, such as a limit, or can be the target's or the agent's fault. */
function provesHealth(error: TunnelError | undefined): boolean {
  return error === undefined || error.code === 'target_refused' || error.code === 'target_reset';
}
