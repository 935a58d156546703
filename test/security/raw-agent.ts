import { once } from 'node:events';
import { type ConnectionOptions, connect } from 'node:tls';
import {
  DuplexTransport,
  type Hello,
  Session,
  TUNNEL_ALPN,
  TunnelError,
  type TunnelStream,
} from '@fairlead/protocol';
import type { Test } from 'tap';
import { loopback, type TestServer } from '../support/fleet.ts';
import { type Credentials, testPki } from './fixture.ts';

/** An agent's tunnel whose session the test controls. */
export interface RawAgent {
  readonly session: Session;
  /** Why the tunnel ended. */
  readonly closed: Promise<TunnelError | undefined>;
  /** All streams that the server opened, in order. */
  readonly offered: TunnelStream[];
  /** Resolves when the server has read all that was sent so far. */
  roundTrip(): Promise<void>;
}

/** Opens a tunnel to a server. */
export async function rawAgent(
  t: Test,
  { server }: TestServer,
  { certPem, keyPem }: Credentials,
  hello: Hello = {},
  onOpen: (stream: TunnelStream) => void = () => {},
): Promise<RawAgent> {
  const pki = await testPki();
  const options: ConnectionOptions & { allowHalfOpen: boolean } = {
    host: loopback,
    port: server.addresses.agent.port,
    servername: 'localhost',
    ca: pki.agentCa.certPem,
    cert: certPem,
    key: keyPem,
    ALPNProtocols: [TUNNEL_ALPN],
    allowHalfOpen: true,
  };
  const socket = connect(options);
  await once(socket, 'secureConnect');
  let close: (error?: TunnelError) => void = () => {};
  const closed = new Promise<TunnelError | undefined>((resolve) => {
    close = resolve;
  });
  const offered: TunnelStream[] = [];
  let greet = () => {};
  const greeted = new Promise<void>((resolve) => {
    greet = resolve;
  });
  const session = new Session(
    new DuplexTransport(socket, 'tls'),
    {
      onHello: () => greet(),
      onOpen: (stream) => {
        offered.push(stream);
        onOpen(stream);
      },
      onDraining() {},
      onClose: (error) => close(error),
    },
    { role: 'agent', hello: { agentId: 'raw', ...hello } },
  ).start();
  t.teardown(() => session.destroy(new TunnelError('shutting_down')));
  await Promise.race([greeted, closed]);
  return {
    session,
    closed,
    offered,
    // The server refuses every stream of an agent, and it answers in order.
    roundTrip: () =>
      new Promise((resolve) => {
        session.open({ host: 'nowhere', port: 1 }, { onClose: () => resolve() });
      }),
  };
}
