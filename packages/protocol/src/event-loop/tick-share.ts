import { currentTurn } from './tick-clock.ts';

/**
 * One read of Node's may bring 2 MiB, which is nothing for payload, and 100,000 small frames that take half a
 * second. Who has used this much of a turn of the event loop is read again in the next.
 */
const MAX_TURN_MS = 5;

/** Bytes that can be left where they are for a moment. */
interface Source {
  pause(): void;
  resume(): void;
}

/**
 * Keeps one tunnel from having a whole turn of the event loop for itself, whatever its peer sends.
 * A pair of calls around the work, since a closure for each read would be in the way of every byte.
 */
export class TurnShare {
  readonly #source: Source;
  #turn = -1;
  #usedMs = 0;
  #startedAtMs = 0;
  #isResting = false;

  constructor(source: Source) {
    this.#source = source;
  }

  /** Work for the source begins. */
  begin(): void {
    this.#startedAtMs = performance.now();
  }

  /** It is done; the source has a rest if it was too much. */
  end(): void {
    const turn = currentTurn();
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#usedMs = 0;
    }
    this.#usedMs += performance.now() - this.#startedAtMs;
    if (this.#usedMs < MAX_TURN_MS || this.#isResting) return;
    this.#isResting = true;
    this.#source.pause();
    setImmediate(this.#wake);
  }

  readonly #wake = (): void => {
    this.#isResting = false;
    this.#source.resume();
  };
}
