import { createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { type ByteReport, countBytes, readText } from './byte-report.ts';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';

/**
 * Starts a target that reads to the peer's FIN, answers with one line of JSON
 * (`{"bytes":N,"sha256":"HEX"}`, see `readSinkReport`) and ends its side. `bytes` counts all connections.
 * @param options.hash `false` omits the SHA-256, for throughput measurements
 */
export async function startSinkTarget(
  options: EndpointOptions & { readonly hash?: boolean } = {},
): Promise<Endpoint & { readonly bytes: number }> {
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

/** Reads a sink's answer to its end. Rejects if the connection fails, or the answer is not a report. */
export async function readSinkReport(stream: Readable): Promise<ByteReport> {
  return JSON.parse(await readText(stream)) as ByteReport;
}
