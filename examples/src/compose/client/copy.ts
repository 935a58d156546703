import { pipeline } from 'node:stream/promises';
import {
  countBytes,
  readSinkReport,
  seededReadable,
  seededSha256,
  sourceRequest,
} from '@fairlead/testkit';
import { connectToTarget } from '../../target-connection.ts';
import { type NodeTargets, targetPorts } from '../network.ts';
import type { ServerPool } from '../server-pool.ts';
import { check } from './check.ts';
import { describeTimes, EchoSession } from './echo-session.ts';

const seed = 'copy';

/** Copies from and to the node, compares SHA-256, and sends keys to an echo session at the same time. */
export async function copy(
  servers: ServerPool,
  node: NodeTargets,
  mebibytes: number,
): Promise<void> {
  const totalBytes = mebibytes * 2 ** 20;
  const wanted = seededSha256(seed, totalBytes);
  for (const [direction, transfer] of [
    ['from', download],
    ['to', upload],
  ] as const) {
    const session = await EchoSession.open(servers, node);
    const startedAt = performance.now();
    const moving = transfer(servers, node, totalBytes);
    const timesMs = await typeWhile(session, moving);
    const { server, sha256 } = await moving;
    const seconds = (performance.now() - startedAt) / 1000;
    check(sha256 === wanted, `the bytes ${direction} ${node.name} were changed: SHA-256 ${sha256}`);
    console.log(
      `copy  ${mebibytes} MiB ${direction} ${node.name} by ${server}: ${seconds.toFixed(2)} s, ` +
        `${(mebibytes / seconds).toFixed(0)} MiB/s, SHA-256 correct; ` +
        `${timesMs.length} keys beside it: ${describeTimes(timesMs)}`,
    );
  }
}

/** Sends keys until the transfer has ended, at least one. */
async function typeWhile(session: EchoSession, moving: Promise<unknown>): Promise<number[]> {
  let isMoving = true;
  const stop = () => {
    isMoving = false;
  };
  moving.then(stop, stop);
  const timesMs: number[] = [];
  try {
    do timesMs.push(await session.send('k'));
    while (isMoving);
  } finally {
    session.close();
  }
  return timesMs;
}

interface Transfer {
  readonly server: string;
  readonly sha256: string;
}

async function download(
  servers: ServerPool,
  { podAddress }: NodeTargets,
  totalBytes: number,
): Promise<Transfer> {
  const { server, value } = await servers.through((via) =>
    connectToTarget(via, { host: podAddress, port: targetPorts.source }),
  );
  value.socket.write(sourceRequest(totalBytes, seed));
  const { sha256 } = await countBytes(value.socket);
  value.socket.end();
  return { server, sha256 };
}

async function upload(
  servers: ServerPool,
  { podAddress }: NodeTargets,
  totalBytes: number,
): Promise<Transfer> {
  const { server, value } = await servers.through((via) =>
    connectToTarget(via, { host: podAddress, port: targetPorts.sink }),
  );
  const [{ sha256 }] = await Promise.all([
    readSinkReport(value.socket),
    pipeline(seededReadable(seed, totalBytes), value.socket),
  ]);
  return { server, sha256 };
}
