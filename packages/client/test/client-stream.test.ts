/** A stream that its client destroys is reset at once, even if writes are pending. */
import { once } from 'node:events';
import { createServer, constants as http2, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { closeRoute, openClientStream, type Route } from '@fairlead/client';
import t, { type Test } from 'tap';

/** Starts a front end that accepts every stream and does not read. */
async function startFrontEnd(t: Test, by: Route['by']) {
  const server = createServer();
  const streams: ServerHttp2Stream[] = [];
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    streams.push(stream);
    if (by === 'http2-connect') stream.respond({ ':status': 200 });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const route: Route = {
    address: { host: '127.0.0.1', port },
    by,
    target: { host: 'target', port: 80 },
  };
  t.teardown(() => {
    closeRoute(route);
    server.close();
  });
  return { server, streams, route };
}

for (const by of ['http2-connect', 'grpc'] as const) {
  t.test(`destroy() resets a stream with pending writes, by ${by}`, async (t) => {
    const { server, streams, route } = await startFrontEnd(t, by);
    const arrived = once(server, 'stream');
    let onClose: (error?: Error) => void = () => {};
    const closed = new Promise<Error | undefined>((resolve) => {
      onClose = resolve;
    });
    const stream = openClientStream(route, {
      onOpen() {},
      onData() {},
      onDrain() {},
      onClose: (error) => onClose(error),
    });
    await arrived;
    let writes = 0;
    while (stream.write(Buffer.alloc(65_536)) || writes < 32) writes++;
    const reset = once(streams[0]!, 'close');
    stream.destroy();
    t.equal(await closed, undefined, 'destroy() is not an error for the caller');
    await reset;
    t.equal(streams[0]!.rstCode, http2.NGHTTP2_CANCEL);
  });
}
