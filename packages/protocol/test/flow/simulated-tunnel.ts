import {
  type MemoryBudget,
  Session,
  type StreamHandler,
  TunnelError,
  type TunnelStream,
} from '@fairlead/protocol';
import type { VirtualClock } from '../event-loop/virtual-clock.ts';
import { RecordingSession } from '../session/recording-handlers.ts';
import { LinkTransport } from './simulated-link.ts';

const target = { host: 'a', port: 80 };
const bulkChunk = Buffer.alloc(65_536);
const keystroke = Buffer.from('k');

export interface SimulatedTunnelOptions {
  readonly bytesPerMs: number;
  readonly rttMs: number;
  /** Memory budget of the receiver. */
  readonly memory?: MemoryBudget;
  /** When both sides send PINGs, and how long they wait for bytes before they close the tunnel. */
  readonly pings?: { readonly pingIntervalMs: number; readonly pingTimeoutMs: number };
}

/** An endless transfer at the maximum speed of the tunnel. */
export interface Bulk {
  readonly deliveredBytes: number;
  /** Stops writing. */
  stop(): void;
  /** Resets the stream. */
  cancel(): void;
}

/** Keystrokes with echoes. */
export interface Typing {
  /** Time from each key to its echo. */
  readonly echoMs: readonly number[];
  /** Keys whose echo has not arrived. */
  readonly unanswered: number;
}

/** Two sessions over a simulated link in virtual time. The server sends, the agent receives. */
export class SimulatedTunnel {
  readonly clock: VirtualClock;
  /** From the server to the agent. */
  readonly down: LinkTransport;
  /** From the agent to the server. */
  readonly up: LinkTransport;
  readonly server: Session;
  readonly agent: Session;
  readonly onServer = new RecordingSession();
  readonly onAgent = new RecordingSession();

  constructor(clock: VirtualClock, { bytesPerMs, rttMs, memory, pings }: SimulatedTunnelOptions) {
    this.clock = clock;
    [this.down, this.up] = LinkTransport.pair(clock, { bytesPerMs, oneWayMs: rttMs / 2 });
    this.server = new Session(this.down, this.onServer, {
      role: 'server',
      hello: {},
      ...pings,
    }).start();
    this.agent = new Session(this.up, this.onAgent, {
      role: 'agent',
      hello: {},
      ...pings,
      ...(memory && { memory }),
    }).start();
    clock.advanceUntil(() => this.server.peerHello !== undefined, 1_000);
  }

  get isUp(): boolean {
    return !this.onServer.isClosed && !this.onAgent.isClosed;
  }

  bulk(): Bulk {
    let deliveredBytes = 0;
    let isStopped = false;
    const stream = this.#open(
      (chunk, far) => {
        deliveredBytes += chunk.length;
        far.consumed(chunk.length);
      },
      () => {},
      () => fill(),
    );
    const fill = () => {
      while (!isStopped && stream.write(bulkChunk));
    };
    fill();
    return {
      get deliveredBytes() {
        return deliveredBytes;
      },
      stop() {
        isStopped = true;
      },
      cancel: () => stream.reset(new TunnelError('cancelled')),
    };
  }

  /** Presses a key every `everyMs`, without waiting for echoes. */
  type(everyMs: number): Typing {
    const { clock } = this;
    const echoMs: number[] = [];
    const pressedAtMs: number[] = [];
    const stream = this.#open(
      (chunk, far) => {
        far.consumed(chunk.length);
        far.write(chunk);
      },
      (chunk) => {
        stream.consumed(chunk.length);
        for (let key = 0; key < chunk.length; key++) {
          echoMs.push(clock.nowMs - pressedAtMs.shift()!);
        }
      },
      () => {},
    );
    const press = () => {
      pressedAtMs.push(clock.nowMs);
      stream.write(keystroke);
      clock.after(everyMs, press);
    };
    press();
    return {
      echoMs,
      get unanswered() {
        return pressedAtMs.length;
      },
    };
  }

  #open(
    onFarData: (chunk: Buffer, far: TunnelStream) => void,
    onNearData: (chunk: Buffer) => void,
    onNearDrain: () => void,
  ): TunnelStream {
    const near = this.server.open(target, {
      ...silent,
      onData: onNearData,
      onDrain: onNearDrain,
    });
    this.onAgent.offer = (far) => {
      far.attach({ ...silent, onData: (chunk) => onFarData(chunk, far) });
      far.accept();
    };
    const { offered } = this.onAgent;
    this.clock.advanceUntil(() => offered.at(-1)?.id === near.id, 60_000);
    return near;
  }
}

const silent: StreamHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
