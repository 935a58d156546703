/** The time of a link in milliseconds, with fractions. It stops while the link is severed. */
export class LinkClock {
  #lostMs = 0;
  #stoppedAtMs: number | undefined;

  now(): number {
    return (this.#stoppedAtMs ?? performance.now()) - this.#lostMs;
  }

  get stopped(): boolean {
    return this.#stoppedAtMs !== undefined;
  }

  stop(): void {
    this.#stoppedAtMs ??= performance.now();
  }

  start(): void {
    if (this.#stoppedAtMs === undefined) return;
    this.#lostMs += performance.now() - this.#stoppedAtMs;
    this.#stoppedAtMs = undefined;
  }
}
