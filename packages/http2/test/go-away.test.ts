import { FrameType } from '@fairlead/http2/internal';
import { eventually } from '@fairlead/testkit';
import t from 'tap';
import { echo, startServer } from './http2-server.ts';
import { RawClient, type RawFrame } from './raw-client.ts';

const goAway = Buffer.alloc(8);
const ofType = (type: number) => (frame: RawFrame) => frame.type === type;

t.test('a client that leaves gets no answer to what it sent just before', async (t) => {
  const server = await startServer(t, echo);
  const client = await RawClient.connect(t, server.port);
  client.request(1, {}, 5);
  await client.frame(
    'the answer ends',
    ({ type, flags }) => type === FrameType.DATA && flags === 1,
  );
  client.socket.cork();
  client.sendFrame(FrameType.PING, 0, 0, Buffer.alloc(8));
  client.sendFrame(FrameType.GOAWAY, 0, 0, goAway);
  client.socket.uncork();
  await eventually('the connection is closed', () => client.isClosed);
  t.equal(client.frames.filter(ofType(FrameType.PING)).length, 0);
  t.ok(server.connections[0]!.isClosed);
  t.equal(server.memory.heldBytes, 0);
});

t.test('a client that leaves gets the answers to its requests', async (t) => {
  const server = await startServer(t, echo, { maxHeadBytes: 500 });
  const client = await RawClient.connect(t, server.port);
  client.socket.cork();
  client.request(1, { long: 'x'.repeat(600) }, 5);
  client.sendFrame(FrameType.GOAWAY, 0, 0, goAway);
  client.socket.uncork();
  await client.frame('431', ofType(FrameType.HEADERS));
  await eventually('the connection is closed', () => client.isClosed);
});

t.test('a stream that is open when the client announces its end goes on', async (t) => {
  const server = await startServer(t, echo);
  const client = await RawClient.connect(t, server.port);
  client.request(1);
  client.sendFrame(FrameType.GOAWAY, 0, 0, goAway);
  client.sendFrame(FrameType.DATA, 1, 1, 'late');
  const data = await client.frame('the echo', ofType(FrameType.DATA));
  t.equal(String(data.payload), 'late');
  await eventually('the connection is closed', () => client.isClosed);
});

t.test('a client that still sends after it left sees an end, and no reset', async (t) => {
  const server = await startServer(t, echo);
  const client = await RawClient.connect(t, server.port);
  const errors: Error[] = [];
  client.socket.on('error', (error) => errors.push(error));
  // It does not see the end before it has sent all.
  client.socket.pause();
  client.sendFrame(FrameType.GOAWAY, 0, 0, goAway);
  await eventually('the server ends the connection', () => server.connections[0]?.isClosed);
  for (let sent = 0; sent < 20; sent++) {
    client.sendFrame(FrameType.PING, 0, 0, Buffer.alloc(8));
    await new Promise(setImmediate);
  }
  client.socket.resume();
  await eventually('the connection is closed', () => client.isClosed);
  t.strictSame(errors, []);
});
