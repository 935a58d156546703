import { once } from 'node:events';
import { connect } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { encodeFields, Http2Connection, type Http2Stream } from '@fairlead/http2';
import {
  ClientCall,
  CONNECT_METHOD,
  type DialingTunnel,
  type GrpcError,
  type Packet,
  type PacketObserver,
  PacketStream,
  ServerCall,
} from '@fairlead/konnectivity';
import { MemoryBudget, type Target, type TunnelStream } from '@fairlead/protocol';
import { Changes } from '@fairlead/testkit';
import type { Test } from 'tap';

const observer: PacketObserver = { onPacket() {}, onError() {} };

/** Both ends of a gRPC call over HTTP/2. */
export interface CallPair {
  readonly server: PacketStream;
  readonly client: PacketStream;
}

/** Connects over loopback and closes both ends after the test. */
export async function startCall(t: Test): Promise<CallPair> {
  let onStream = (_stream: Http2Stream) => {};
  const opened = new Promise<Http2Stream>((resolve) => {
    onStream = resolve;
  });
  const options = { headTimeoutMs: 60_000, maxHeadBytes: 16_384, memory: new MemoryBudget() };
  const handler = { onRequest: (stream: Http2Stream) => onStream(stream), onSilent() {} };
  const server = createServer((socket) => new Http2Connection(socket, options, handler).start());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.teardown(() => {
    session.destroy();
    server.close();
  });
  session.on('error', () => {});
  const request = session.request(
    { ':method': 'POST', ':path': CONNECT_METHOD, 'content-type': 'application/grpc' },
    { endStream: false },
  );
  const stream = await opened;
  stream.respond(encodeFields({ ':status': '200' }));
  return {
    server: new PacketStream(new ServerCall(stream), observer),
    client: new PacketStream(new ClientCall(request), observer),
  };
}

/** A dial as a promise. The signal's reason cancels it. */
export function dialTunnel(
  tunnel: DialingTunnel,
  target: Target,
  signal: AbortSignal,
): Promise<TunnelStream> {
  return new Promise((resolve, reject) => {
    const attempt = tunnel.dial(target, { onOpened: resolve, onFailed: reject });
    signal.addEventListener('abort', () => attempt.reset(signal.reason));
  });
}

/** A peer, as an agent or a server, that sends only the packets of the test. */
export class RawPeer {
  readonly received: Packet[] = [];
  closed: { readonly error: GrpcError | undefined } | undefined;
  readonly #wire: PacketStream;
  readonly #changes = new Changes();

  constructor(wire: PacketStream) {
    this.#wire = wire;
    wire.start({
      onPacket: (packet) => {
        this.received.push(packet);
        this.#changes.notify();
      },
      onDrain: () => {},
      onEnd: () => {},
      onClose: (error) => {
        this.closed = { error };
        this.#changes.notify();
      },
    });
  }

  send(packet: Packet): void {
    if (packet.type === 'DATA') this.#wire.sendData(packet.connectId, packet.data);
    else this.#wire.send(packet);
  }

  end(): void {
    this.#wire.end();
  }

  /** Waits for the next packet and takes it. */
  async take<T extends Packet['type']>(type: T): Promise<Extract<Packet, { type: T }>> {
    await this.until(() => this.received.length > 0);
    const packet = this.received.shift()!;
    if (packet.type !== type) throw new Error(`expected ${type}, received ${packet.type}`);
    return packet as Extract<Packet, { type: T }>;
  }

  /** Waits until the condition is true. It is checked after every packet and after the close. */
  async until(condition: () => boolean): Promise<void> {
    await this.#changes.until(condition);
  }
}
