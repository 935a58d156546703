/** Scenarios for a server, an agent and a front end. Server and agent are each of Fairlead or Konnectivity. */
import {
  connectThrough,
  countBytes,
  eventually,
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
import { type Agent, type FrontEnd, type Server, untilNoStreams } from './fixture.ts';

const mib = 1024 * 1024;

/** 1 GiB takes a minute in the slowest pairing. */
const largeBytes = Number(process.env.INTEROP_LARGE_BYTES ?? 16 * mib);

const addressOf = ({ host, port }: { host: string; port: number }) => `${host}:${port}`;

/** HTTP statuses and texts of failed dials. Old Konnectivity servers send neither by HTTP. */
const failures = {
  refused: { status: 502, text: /connection refused/ },
  unresolvable: { status: 502, text: /no such host|name resolution|lookup/ },
  silent: { status: 504, text: /i\/o timeout/ },
} as const;

/** @param hasFairlead whether server or agent is Fairlead's */
async function testTransfers(t: Test, client: Client, hasFairlead: boolean): Promise<void> {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  await t.test('echoes 100 bytes', () => client.echo(addressOf(target), 100));
  await t.test(`echoes ${largeBytes} bytes`, () => client.echo(addressOf(target), largeBytes));
  await t.test('echoes on 200 connections at once', () =>
    client.echo(addressOf(target), 64 * 1024, 200),
  );
  // Two Konnectivity programs sometimes lose these bytes, in HTTP CONNECT mode and in the client.
  await t.test('delivers all bytes before a target ends', { skip: !hasFairlead }, async (t) => {
    const source = await startSourceTarget({ totalBytes: 3 * mib });
    t.teardown(() => source.close());
    t.equal(await client.read(addressOf(source)), 3 * mib);
  });
  await t.test("closes the target's connection if the client dies", async () => {
    await client.abandon(addressOf(target));
    await eventually('the target has no connection', () => target.openConnections === 0);
  });
}

async function testFailures(
  t: Test,
  client: Client,
  frontEnd: FrontEnd,
  server: Server,
): Promise<void> {
  const expect = (failure: DialFailure, { status, text }: { status: number; text: RegExp }) => {
    if (frontEnd.protocol === 'grpc') t.match(failure.text, text);
    else if (server.kind === 'fairlead') t.match(failure, { status, text });
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

/** The client half-closes right after its request, and then receives the answer. */
async function testHalfClose(t: Test, { address }: FrontEnd): Promise<void> {
  const target = await startRequestedSourceTarget();
  t.teardown(() => target.close());
  const { status, socket } = await connectThrough({ via: address, target: addressOf(target) });
  t.equal(status, 200);
  socket.end(sourceRequest(8 * mib, 'late'));
  const { bytes, sha256 } = await countBytes(socket);
  t.match({ bytes, sha256 }, { bytes: 8 * mib, sha256: seededSha256('late', 8 * mib) });
}

/** Runs all scenarios, and checks that no stream is left. */
export async function testPair(
  t: Test,
  client: Client,
  frontEnd: FrontEnd,
  server: Server,
  agent: Agent,
): Promise<void> {
  const hasFairlead = server.kind === 'fairlead' || agent.kind === 'fairlead';
  await t.test('transfers', (t) => testTransfers(t, client, hasFairlead));
  await t.test('failed dials', (t) => testFailures(t, client, frontEnd, server));
  if (frontEnd.protocol === 'http-connect' && server.kind === 'fairlead') {
    await t.test('answers a client that has half-closed', (t) => testHalfClose(t, frontEnd));
  }
  await t.test('leaves no stream open', () => untilNoStreams(server, agent));
}
