import type { FrameSink } from '@fairlead/protocol/internal';
import type { Frame } from './oracle-codec.ts';

/** A sink that lists frames. Consecutive pieces of DATA for one stream are joined. */
export class FrameCollector implements FrameSink {
  readonly frames: Frame[] = [];

  onHello(json: Buffer): void {
    this.frames.push({ name: 'HELLO', json: json.toString() });
  }

  onOpen(id: number, { host, port }: { host: string; port: number }): void {
    this.frames.push({ name: 'OPEN', id, host, port });
  }

  onOpened(id: number): void {
    this.frames.push({ name: 'OPENED', id });
  }

  onOpenFailed(id: number, code: number, text: string): void {
    this.frames.push({ name: 'OPEN_FAILED', id, code, text });
  }

  onData(id: number, piece: Buffer): void {
    this.frames.push({ name: 'DATA', id, hex: piece.toString('hex') });
  }

  onFin(id: number): void {
    this.frames.push({ name: 'FIN', id });
  }

  onReset(id: number, code: number): void {
    this.frames.push({ name: 'RESET', id, code });
  }

  onWindow(id: number, increment: number): void {
    this.frames.push({ name: 'WINDOW', id, increment });
  }

  onPing(opaque: Buffer): void {
    this.frames.push({ name: 'PING', hex: opaque.toString('hex') });
  }

  onPong(mark: number, busyUs: number): void {
    this.frames.push({ name: 'PONG', hex: mark.toString(16).padStart(16, '0'), busyUs });
  }

  onGoAway(code: number, lastId: number, reason: string): void {
    this.frames.push({ name: 'GOAWAY', code, lastId, reason });
  }
}

/** Joins consecutive DATA of one stream, since its boundaries have no meaning, and drops unknown frames. */
export function normalized(frames: readonly Frame[]): Frame[] {
  const result: Frame[] = [];
  for (const frame of frames) {
    if (frame.name === 'unknown') continue;
    const last = result.at(-1);
    if (frame.name === 'DATA' && last?.name === 'DATA' && last.id === frame.id) {
      result[result.length - 1] = { ...last, hex: last.hex + frame.hex };
    } else {
      result.push(frame);
    }
  }
  return result;
}
