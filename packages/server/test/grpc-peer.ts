import type { Packet } from '@fairlead/konnectivity';
import {
  decodePacket,
  encodeDataHead,
  encodePacket,
  MESSAGE_HEADER_BYTES,
} from '@fairlead/konnectivity/internal';
import { Changes } from '@fairlead/testkit';
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import type { Test } from 'tap';

function serialize(packet: Packet): Buffer {
  if (packet.type !== 'DATA') return encodePacket(packet).subarray(MESSAGE_HEADER_BYTES);
  const head = encodeDataHead(packet.connectId, packet.data.length);
  return Buffer.concat([head.subarray(MESSAGE_HEADER_BYTES), packet.data]);
}

export interface GrpcPeerOptions {
  /** In the format of grpc-js: `unix:PATH` or `HOST:PORT`. */
  readonly address: string;
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A gRPC connection of grpc-js. */
export class GrpcPeer {
  readonly #client: Client;

  constructor(t: Test, { address, tls }: GrpcPeerOptions) {
    const secured =
      tls &&
      credentials.createSsl(Buffer.from(tls.ca), Buffer.from(tls.key), Buffer.from(tls.cert));
    this.#client = new Client(address, secured ?? credentials.createInsecure(), {
      ...(tls && { 'grpc.ssl_target_name_override': 'localhost' }),
    });
    t.teardown(() => this.#client.close());
  }

  /** Begins a call whose messages are Packets. */
  call(method: string, metadata: Readonly<Record<string, string>> = {}): GrpcCall {
    const all = new Metadata();
    for (const [name, value] of Object.entries(metadata)) all.add(name, value);
    return new GrpcCall(
      this.#client.makeBidiStreamRequest<Packet, Packet | undefined>(
        method,
        serialize,
        decodePacket,
        all,
      ),
    );
  }
}

/** A call that sends and receives packets. */
export class GrpcCall {
  readonly received: Packet[] = [];
  status: StatusObject | undefined;
  metadata: Metadata | undefined;
  readonly #stream: ClientDuplexStream<Packet, Packet | undefined>;
  readonly #changes = new Changes();

  constructor(stream: ClientDuplexStream<Packet, Packet | undefined>) {
    this.#stream = stream;
    stream.on('data', (packet: Packet) => {
      this.received.push(packet);
      this.#changes.notify();
    });
    stream.on('metadata', (metadata: Metadata) => {
      this.metadata = metadata;
      this.#changes.notify();
    });
    stream.on('status', (status: StatusObject) => {
      this.status = status;
      this.#changes.notify();
    });
    // The status has the same information.
    stream.on('error', (_error: ServiceError) => {});
  }

  send(packet: Packet): void {
    this.#stream.write(packet);
  }

  data(connectId: bigint, data: Buffer | string): void {
    this.send({ type: 'DATA', connectId, error: '', data: Buffer.from(data) });
  }

  /** Ends the client's direction of the call. */
  end(): void {
    this.#stream.end();
  }

  cancel(): void {
    this.#stream.cancel();
  }

  pause(): void {
    this.#stream.pause();
  }

  /** The next packet that has not been taken. */
  async take<T extends Packet['type']>(type: T): Promise<Extract<Packet, { type: T }>> {
    await this.until(() => this.received.length > 0 || this.status !== undefined);
    const packet = this.received.shift();
    if (packet?.type !== type) {
      throw new Error(
        `expected ${type}, received ${packet?.type ?? `status ${this.status?.code}`}`,
      );
    }
    return packet as Extract<Packet, { type: T }>;
  }

  /** The status with which the call ended. */
  async ended(): Promise<StatusObject> {
    await this.until(() => this.status !== undefined);
    return this.status!;
  }

  /** Waits until the condition is true. It is checked after every event. */
  async until(condition: () => boolean): Promise<void> {
    await this.#changes.until(condition);
  }
}
