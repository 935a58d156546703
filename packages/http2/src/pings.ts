import { encodeFrame, FrameType } from './wire/frames.ts';

const payload = Buffer.alloc(8);

/** PINGs of this side, which the peer answers in order. */
export class Pings {
  readonly #sent: { readonly atMs: number; onAnswer(rttMs: number): void }[] = [];

  /** @returns the frame to send */
  send(onAnswer: (rttMs: number) => void): Buffer {
    this.#sent.push({ atMs: performance.now(), onAnswer });
    return encodeFrame(FrameType.PING, 0, 0, payload);
  }

  onAnswer(): void {
    const ping = this.#sent.shift();
    ping?.onAnswer(performance.now() - ping.atMs);
  }
}
