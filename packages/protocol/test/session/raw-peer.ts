import { type Duplex, duplexPair } from 'node:stream';
import { DuplexTransport, Session } from '@fairlead/protocol';
import { Changes } from '@fairlead/testkit';
import type { Test } from 'tap';
import { decodeAll, type Frame } from '../wire/oracle-codec.ts';
import { RecordingSession } from './recording-handlers.ts';
import type { PairOptions } from './session-pair.ts';

/** `{"versions":[1]}` in a HELLO frame. */
export const HELLO = '01 00 0010 00000000 7b2276657273696f6e73223a5b315d7d';

/** The bytes of hex text with spaces. */
export function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
}

/** A peer that sends hex bytes and records received frames, so that it can violate the protocol. */
export class RawPeer {
  readonly session: Session;
  readonly on = new RecordingSession();
  readonly #wire: Duplex;
  readonly #changes = new Changes();
  #received = Buffer.alloc(0);
  isEnded = false;

  /** @param role of the session under test; the raw peer has the other role */
  constructor(t: Test, role: 'server' | 'agent', options: PairOptions = {}) {
    const [near, far] = duplexPair();
    this.#wire = far;
    far.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#changes.notify();
    });
    far.on('end', () => {
      this.isEnded = true;
      this.#changes.notify();
    });
    this.session = new Session(new DuplexTransport(near, 'memory'), this.on, {
      role,
      hello: {},
      ...options,
    }).start();
    t.teardown(() => {
      this.session.transport.destroy();
      far.destroy();
    });
  }

  send(...frames: string[]): void {
    this.#wire.write(bytes(frames.join('')));
  }

  sendBytes(chunk: Buffer): void {
    this.#wire.write(chunk);
  }

  end(): void {
    this.#wire.end();
  }

  /** All complete frames so far. */
  get frames(): Frame[] {
    return decodeAll(this.#received).frames;
  }

  /** Waits for the frame of that name and index. */
  async frame<Name extends Frame['name']>(
    name: Name,
    index = 0,
  ): Promise<Extract<Frame, { name: Name }>> {
    return this.#changes.until(() => {
      const found = this.frames.filter((frame) => frame.name === name)[index];
      if (found) return found as Extract<Frame, { name: Name }>;
      if (this.isEnded) throw new Error(`the session ended without ${name}`);
      return undefined;
    }, `a frame ${name}, number ${index}`);
  }

  async ended(): Promise<void> {
    await this.#changes.until(() => this.isEnded, 'the end of the session');
  }
}
