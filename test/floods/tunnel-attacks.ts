import {
  type AttackedServer,
  type AttackRun,
  frame,
  helloFrame,
  openTunnel,
  requestStream,
  write,
} from './attack-run.ts';

const hostile = { agentId: 'hostile', agentIdentifiers: 'host=hostile' };

/** Sends valid frames repeatedly on one tunnel, or on a new one if the server closes it. */
function repeated(frames: (round: number) => Buffer, reads = true) {
  return async (run: AttackRun): Promise<void> => {
    for (let round = 0; !run.isOver(); ) {
      const socket = await openTunnel(run.server);
      if (!socket) continue;
      if (reads) socket.resume();
      socket.write(helloFrame(hostile));
      for (round = 0; !run.isOver() && !socket.destroyed; round++) {
        await write(socket, frames(round));
        run.count += framesAtOnce;
      }
      // Without reading, the attack is over when the server closes the tunnel.
      if (!reads) return;
      socket.destroy();
    }
  };
}

const framesAtOnce = 1_000;

function many(one: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: framesAtOnce }, (_, index) => one(index)));
}

const always = (bytes: Buffer) => () => bytes;

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Sends bytes that violate the protocol, after a HELLO, on one tunnel after the other. */
function violation(bytes: Buffer, isHelloFirst = true) {
  return async (run: AttackRun): Promise<void> => {
    while (!run.isOver()) {
      const socket = await openTunnel(run.server);
      if (!socket) continue;
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.resume();
      socket.write(Buffer.concat([...(isHelloFirst ? [helloFrame(hostile)] : []), bytes]));
      await closed;
      run.count += 1;
    }
  };
}

/** Violates the protocol on a stream that a client has opened and the hostile agent has accepted. */
function violationOnStream(frames: (streamId: number) => Buffer[]) {
  return async (run: AttackRun): Promise<void> => {
    while (!run.isOver()) await violateOnOneStream(run.server, frames).then(() => run.count++);
  };
}

async function violateOnOneStream(
  server: AttackedServer,
  frames: (streamId: number) => Buffer[],
): Promise<void> {
  const socket = await openTunnel(server);
  if (!socket) return;
  const closed = new Promise((resolve) => socket.once('close', resolve));
  let received = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 8) {
      const end = 8 + received.readUInt16BE(2);
      if (received.length < end) return;
      const [type, streamId] = [received[0], received.readUInt32BE(4)];
      received = received.subarray(end);
      if (type === 2) socket.write(Buffer.concat([opened(streamId), ...frames(streamId)]));
    }
  });
  socket.write(helloFrame(hostile));
  // A request that arrives before the HELLO is refused, so it is repeated.
  let client = requestStream(server, 'hostile:1');
  const retries = setInterval(() => {
    client.destroy();
    client = requestStream(server, 'hostile:1');
  }, 100);
  await closed;
  clearInterval(retries);
  client.destroy();
}

const opened = (streamId: number): Buffer => frame(3, streamId, Buffer.alloc(0));
const data = (streamId: number, bytes: number): Buffer => frame(5, streamId, Buffer.alloc(bytes));

/** A HELLO with a payload of `bytes` bytes, most of them in an unknown field. */
function helloOf(bytes: number): Buffer {
  const minBytes = helloFrame({ ...hostile, more: '' }).length - 8;
  return helloFrame({ ...hostile, more: 'x'.repeat(bytes - minBytes) });
}

let lastOpenId = -1;
const openAtOnce = (round: number): Buffer => {
  if (round === 0) lastOpenId = -1;
  return many(() => {
    lastOpenId += 2;
    return frame(2, lastOpenId, Buffer.from([0, 80, 1, 97]));
  });
};

/** Attacks by an agent with a valid certificate, by name. */
export const tunnelAttacks: Readonly<Record<string, (run: AttackRun) => Promise<void>>> = {
  'WINDOW overflows': violationOnStream((id) => [frame(8, id, uint32(2 ** 31 - 1))]),
  'DATA beyond credit': violationOnStream((id) => [data(id, 65_535), data(id, 2)]),
  'DATA after FIN': violationOnStream((id) => [frame(6, id, Buffer.alloc(0)), data(id, 1)]),
  'unknown stream IDs': violation(data(4_242, 1)),
  'garbage instead of HELLO': violation(Buffer.from('GET / HTTP/1.1\r\n\r\n'), false),
  'HELLO over its limit': violation(helloOf(16_385)),
  'HELLO at its limit': repeated(always(Buffer.concat(Array(100).fill(helloOf(16_384))))),
  'PING flood': repeated(always(many(() => frame(9, 0, Buffer.alloc(8))))),
  'RESET flood': repeated((round) =>
    round === 0 ? openAtOnce(0) : many((index) => frame(7, 2 * index + 1, Buffer.from([0, 0]))),
  ),
  'GOAWAY storm': repeated(
    always(many(() => frame(11, 0, Buffer.concat([Buffer.from([0, 1]), uint32(2 ** 31 - 1)])))),
  ),
  'OPENs without end': repeated(openAtOnce),
  'OPENs, answers unread': repeated(openAtOnce, false),
};
