import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { DuplexTransport, type Session, type Transport } from '@fairlead/protocol';
import { sharedTestPki, type TestPki } from '@fairlead/testkit';
import { Worker } from '../process/worker.ts';
import { MemoryTransport } from './memory-transport.ts';
import type { MicroCase } from './micro-case.ts';
import {
  exchangeMessages,
  openSession,
  type Running,
  readBulk,
  serveStreams,
} from './session-ends.ts';

const peerEntry = new URL('./session-peer.js', import.meta.url);

/** The session without front end, clients and targets, over memory, TCP and TLS. */
export async function sessionCases(): Promise<MicroCase[]> {
  const pki = await sharedTestPki();
  const transports = [
    { name: 'memory', open: openInMemory },
    { name: 'TCP, two processes', open: () => openTo(pki, false) },
    { name: 'TLS, two processes', open: () => openTo(pki, true) },
  ];
  return transports.flatMap(({ name, open }) => [
    sessionCase(`session, bulk, 1 stream, ${name}`, 'MB/s', 1e-6, open, (it) => readBulk(it, 1)),
    sessionCase(`session, bulk, 100 streams, ${name}`, 'MB/s', 1e-6, open, (it) =>
      readBulk(it, 100),
    ),
    sessionCase(`session, echo, 50 streams, ${name}`, 'messages/s', 1, open, (it) =>
      exchangeMessages(it, 50),
    ),
  ]);
}

interface OpenedSession {
  readonly session: Session;
  close(): Promise<void>;
}

/** Opens a new session for each measurement. @param scale the factor from the count to `unit` */
function sessionCase(
  name: string,
  unit: string,
  scale: number,
  open: () => Promise<OpenedSession>,
  start: (session: Session) => Running,
): MicroCase {
  return {
    name,
    unit,
    async measure(durationMs) {
      const { session, close } = await open();
      const running = start(session);
      await sleep(durationMs / 4);
      const countBefore = running.count;
      const startMs = performance.now();
      await sleep(durationMs);
      const done = running.count - countBefore;
      const elapsedMs = performance.now() - startMs;
      running.stop();
      await close();
      return (done * scale * 1000) / elapsedMs;
    },
  };
}

async function openInMemory(): Promise<OpenedSession> {
  const [near, far] = MemoryTransport.pair();
  serveStreams(far);
  return { session: await openSession(near), async close() {} };
}

async function openTo(pki: TestPki, isTls: boolean): Promise<OpenedSession> {
  const { ca, server } = pki.agent;
  const peer = await Worker.start(peerEntry);
  const tls = isTls ? { ca, cert: server.cert, key: server.key } : undefined;
  const port = await peer.call<number>('listen', tls);
  const transport = await dial(pki, port, isTls);
  return { session: await openSession(transport), close: () => peer.close() };
}

async function dial({ agent }: TestPki, port: number, isTls: boolean): Promise<Transport> {
  const to = { host: '127.0.0.1', port };
  if (!isTls) {
    const socket = connect(to);
    await once(socket, 'connect');
    return new DuplexTransport(socket, 'tls');
  }
  const { cert, key } = agent.client;
  const socket = connectTls({ ...to, ca: agent.ca, cert, key, servername: 'localhost' });
  await once(socket, 'secureConnect');
  return new DuplexTransport(socket, 'tls');
}
