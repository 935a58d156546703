import { createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { type ByteReport, countBytes, readText } from './byte-report.ts';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';

export interface SinkTargetOptions extends EndpointOptions {
  /** `false` leaves the SHA-256 out, for throughput measurements. */
  readonly hash?: boolean;
}

/** A target that counts what it receives. */
export interface SinkTarget extends Endpoint {
  /** Bytes received so far, over all connections. */
  readonly bytes: number;
}

/**
 * Starts a target that reads to the peer's FIN, answers with one line of JSON
 * (`{"bytes":N,"sha256":"HEX"}`, see `readSinkReport`) and ends its side.
 */
export async function startSinkTarget(options: SinkTargetOptions = {}): Promise<SinkTarget> {
  let bytes = 0;
  const onBytes = (length: number) => {
    bytes += length;
  };
  const count = { hash: options.hash ?? true, onBytes };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    countBytes(socket, count).then(
      (report) => socket.end(`${JSON.stringify(report)}\n`),
      () => socket.destroy(),
    );
  });
  const listener = await Listener.start(server, options);
  return {
    host: listener.host,
    port: listener.port,
    get bytes() {
      return bytes;
    },
    close: () => listener.close(),
  };
}

/** Reads a sink's answer to its end. Rejects when the connection breaks or the answer is no report. */
export async function readSinkReport(stream: Readable): Promise<ByteReport> {
  return JSON.parse(await readText(stream)) as ByteReport;
}
