import { type Duplex, duplexPair } from 'node:stream';
import { DuplexTransport, Session, type SessionOptions, type Transport } from '@fairlead/protocol';
import type { Test } from 'tap';
import { RecordingSession } from './recording-handlers.ts';

/** Two sessions that have received each other's HELLO. */
export interface SessionPair {
  readonly server: Session;
  readonly agent: Session;
  readonly onServer: RecordingSession;
  readonly onAgent: RecordingSession;
}

export type PairOptions = Partial<Omit<SessionOptions, 'role'>>;

export function memoryTransports(): [Transport, Transport] {
  const [one, other] = duplexPair();
  breakTogether(one, other);
  breakTogether(other, one);
  return [new DuplexTransport(one, 'memory'), new DuplexTransport(other, 'memory')];
}

/** Destroys the other end too. A Duplex pair does not do that by itself, unlike a socket. */
function breakTogether(one: Duplex, other: Duplex): void {
  one.on('close', () => {
    if (!one.readableEnded || !one.writableFinished) other.destroy();
  });
}

/** Starts both ends. They have not received HELLO when this returns. */
export function startPair(
  [serverSide, agentSide]: readonly [Transport, Transport],
  serverOptions: PairOptions = {},
  agentOptions: PairOptions = {},
): SessionPair {
  const onServer = new RecordingSession();
  const onAgent = new RecordingSession();
  const server = new Session(serverSide, onServer, {
    role: 'server',
    hello: { serverId: 'server-1', serverCount: 1 },
    ...serverOptions,
  }).start();
  const agent = new Session(agentSide, onAgent, {
    role: 'agent',
    hello: { agentId: 'agent-1' },
    ...agentOptions,
  }).start();
  return { server, agent, onServer, onAgent };
}

/** Connects two sessions over a pair of transports and closes them after the test. */
export async function connectedPair(
  t: Test,
  transports: readonly [Transport, Transport] = memoryTransports(),
  serverOptions: PairOptions = {},
  agentOptions: PairOptions = {},
): Promise<SessionPair> {
  const pair = startPair(transports, serverOptions, agentOptions);
  t.teardown(() => {
    pair.server.transport.destroy();
    pair.agent.transport.destroy();
  });
  await pair.onServer.until(() => pair.server.peerHello !== undefined);
  await pair.onAgent.until(() => pair.agent.peerHello !== undefined);
  return pair;
}
