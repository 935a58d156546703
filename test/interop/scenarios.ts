/** Scenarios for a server and an agent through one front end. Each can be ours or Konnectivity's. */
import {
  connectThrough,
  countBytes,
  reserveRefusedPort,
  seededSha256,
  sourceRequest,
  startBlackholeTarget,
  startEchoTarget,
  startRequestedSourceTarget,
  startSourceTarget,
} from '@fairlead/testkit';
import type { Test } from 'tap';
import type { Client, DialFailure } from './clients.ts';
import { type Agent, eventually, expectNoLeak, type FrontEnd, type Server } from './fixture.ts';

const mib = 1024 * 1024;

/** A whole GiB takes a minute in the slowest pairing. */
const largeBytes = Number(process.env.INTEROP_LARGE_BYTES ?? 16 * mib);

const addressOf = ({ host, port }: { host: string; port: number }) => `${host}:${port}`;

/** HTTP statuses and words for a failed dial. Konnectivity's old servers tell nothing by HTTP. */
const failures = {
  refused: { status: 502, text: /connection refused/ },
  unresolvable: { status: 502, text: /no such host|name resolution|lookup/ },
  silent: { status: 504, text: /i\/o timeout/ },
} as const;

/** @param isOurs whether one side at least is ours */
async function tryTransfers(t: Test, client: Client, isOurs: boolean): Promise<void> {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  await t.test('a small transfer', () => client.echo(addressOf(target), 100));
  await t.test(`${largeBytes} bytes each way`, () => client.echo(addressOf(target), largeBytes));
  await t.test('200 connections at once', () => client.echo(addressOf(target), 64 * 1024, 200));
  // Konnectivity with itself loses such bytes now and then, in its HTTP CONNECT mode and in its client.
  await t.test('a target that sends and ends', { skip: !isOurs }, async (t) => {
    const source = await startSourceTarget({ totalBytes: 3 * mib });
    t.teardown(() => source.close());
    t.equal(await client.read(addressOf(source)), 3 * mib);
  });
  await t.test('a client that vanishes takes its connection along', async () => {
    await client.vanish(addressOf(target));
    await eventually('the target has no connection', () => target.openConnections === 0);
  });
}

async function tryFailures(
  t: Test,
  client: Client,
  front: FrontEnd,
  server: Server,
): Promise<void> {
  const expect = (failure: DialFailure, { status, text }: { status: number; text: RegExp }) => {
    if (front.protocol === 'grpc') t.match(failure.text, text);
    else if (server.kind === 'ours') t.match(failure, { status, text });
    else t.not(failure.status, undefined);
  };
  const refused = await reserveRefusedPort();
  const silent = await startBlackholeTarget();
  t.teardown(() => Promise.all([refused.close(), silent.close()]));
  expect(await client.failToDial(addressOf(refused)), failures.refused);
  expect(await client.failToDial('no-such-host.invalid:80'), failures.unresolvable);
  expect(await client.failToDial(addressOf(silent)), failures.silent);
  await client.cancelDial(addressOf(silent));
}

/** The client ends its side right behind its request, and the answer comes after that. */
async function tryHalfClose(t: Test, { address }: FrontEnd): Promise<void> {
  const target = await startRequestedSourceTarget();
  t.teardown(() => target.close());
  const { status, socket } = await connectThrough({ via: address, target: addressOf(target) });
  t.equal(status, 200);
  socket.end(sourceRequest(8 * mib, 'late'));
  const { bytes, sha256 } = await countBytes(socket);
  t.match({ bytes, sha256 }, { bytes: 8 * mib, sha256: seededSha256('late', 8 * mib) });
}

/** All of it, and that nothing is left of it. */
export async function tryPair(
  t: Test,
  client: Client,
  front: FrontEnd,
  server: Server,
  agent: Agent,
): Promise<void> {
  const isOurs = server.kind === 'ours' || agent.kind === 'ours';
  await t.test('transfers', (t) => tryTransfers(t, client, isOurs));
  await t.test('failures', (t) => tryFailures(t, client, front, server));
  if (front.protocol === 'http-connect' && server.kind === 'ours') {
    await t.test('an answer to a client that has ended its side', (t) => tryHalfClose(t, front));
  }
  await t.test('nothing is left open', () => expectNoLeak(server, agent));
}
