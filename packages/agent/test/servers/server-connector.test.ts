import { type Duplex, duplexPair } from 'node:stream';
import { type AgentOptions, agentOptions } from '@fairlead/agent';
import {
  ConnectError,
  type ConnectFailure,
  ServerConnector,
  type TunnelContext,
  TunnelRegistry,
} from '@fairlead/agent/internal';
import {
  DuplexTransport,
  type Hello,
  MemoryBudget,
  Session,
  type Transport,
  TunnelError,
  type TunnelStream,
} from '@fairlead/protocol';
import { Backoff } from '@fairlead/runtime/net';
import { completeOptions } from '@fairlead/runtime/options';
import { createLogger } from '@fairlead/runtime/process';
import { Changes } from '@fairlead/testkit';
import { type ControlledTime, controlTime, passTimeUntil } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';

/** The server's end of a tunnel to the agent under test. */
interface Accepted {
  readonly session: Session;
  readonly serverId: string;
  /** The error of the tunnel. Undefined while it is open, null after an end without an error. */
  ended: TunnelError | null | undefined;
}

/** How a server answers a connection. */
interface Answer {
  readonly hello: Hello;
  readonly firstStreamId?: number;
  /** The server refuses the agent with this error after the agent's HELLO. */
  readonly refusal?: TunnelError;
  /** Called when the agent's HELLO arrives, before the server answers. */
  readonly onHello?: () => void;
  /** The server drains at once. */
  readonly drains?: boolean;
  /** The server sends only HELLO. */
  readonly isMute?: boolean;
}

/** Destroys the other end too. A Duplex pair does not do that by itself, unlike a socket. */
function breakTogether(one: Duplex, other: Duplex): void {
  one.on('close', () => {
    if (!one.readableEnded || !one.writableFinished) other.destroy();
  });
}

/** An agent with in-memory tunnels to simulated servers. */
class SimulatedAgent {
  readonly registry = new TunnelRegistry();
  readonly accepted: Accepted[] = [];
  readonly connectors: ServerConnector[] = [];
  readonly failures: ConnectFailure[] = [];
  attempts = 0;
  /** The server for the next attempt; undefined refuses the connection. */
  next: (() => Answer | undefined) | undefined;
  readonly #context: TunnelContext;
  readonly #changes = new Changes();

  constructor(t: Test, flags: Partial<AgentOptions> = {}) {
    const options = completeOptions(agentOptions, {
      agentId: 'x',
      pingInterval: 100,
      pingTimeout: 60_000,
      ...flags,
    }) as AgentOptions;
    this.#context = {
      options,
      logger: createLogger('silent', { write: () => {} }),
      memory: new MemoryBudget(1e9),
      registry: this.registry,
      metrics: {
        packetObserver: { onPacket() {}, onError() {} },
        onTunnelLost: () => {},
        onConnectFailed: () => {},
      },
      onStream: (stream: TunnelStream) => stream.accept(),
      onChange: () => {
        for (const connector of this.connectors) connector.onTunnelsChanged();
        this.changed();
      },
    };
    t.teardown(async () => {
      for (const { session } of this.accepted) session.destroy(new TunnelError('shutting_down'));
      await Promise.all(this.connectors.map((connector) => connector.close()));
    });
  }

  /** @param maxMs the longest pause between attempts; the first pause is 10 ms */
  connector({ searches = false, maxMs = 20 } = {}): ServerConnector {
    const backoff = () => new Backoff({ minMs: 10, maxMs, random: () => 0.5 });
    const connector = new ServerConnector({
      endpoint: { host: 'server.test', port: 8091 },
      context: this.#context,
      backoff: backoff(),
      ...(searches && { searchBackoff: backoff() }),
      connect: async () => this.#connect(),
      onConnectFailed: ({ reason }) => {
        this.failures.push(reason);
        this.changed();
      },
    });
    this.connectors.push(connector);
    connector.start();
    return connector;
  }

  changed(): void {
    this.#changes.notify();
  }

  async until(condition: () => boolean): Promise<void> {
    await this.#changes.until(condition);
  }

  /** Advances time in steps until the condition holds. */
  async passTimeUntil(time: ControlledTime, condition: () => boolean): Promise<void> {
    await passTimeUntil(time, String(condition), condition, { stepMs: 5 });
  }

  /** IDs of the servers with an open tunnel. */
  get up(): string[] {
    return this.accepted
      .filter(({ session, ended }) => ended === undefined && session.peerHello)
      .map(({ serverId }) => serverId);
  }

  #connect(): Transport {
    this.attempts++;
    const server = this.next?.();
    if (!server) throw new ConnectError('refused', 'refused');
    const [near, far] = duplexPair();
    breakTogether(near, far);
    breakTogether(far, near);
    const accepted: Accepted = {
      serverId: server.hello.serverId ?? '',
      ended: undefined,
      session: new Session(
        new DuplexTransport(far, 'memory'),
        {
          onHello: () => {
            server.onHello?.();
            // Queued frames would be sent at the end of this tick.
            if (server.isMute) accepted.session.transport.write = () => true;
            if (server.refusal) accepted.session.close(server.refusal);
            this.changed();
          },
          onOpen: () => {},
          onDraining: () => this.changed(),
          onClose: (error) => {
            accepted.ended = error ?? null;
            this.changed();
          },
        },
        {
          role: 'server',
          hello: server.hello,
          ...(server.firstStreamId && { firstStreamId: server.firstStreamId }),
        },
      ).start(),
    };
    if (server.drains) accepted.session.drain(new TunnelError('shutting_down'));
    this.accepted.push(accepted);
    return new DuplexTransport(near, 'memory');
  }
}

const answerOf = (serverId: string, serverCount = 1) => ({ hello: { serverId, serverCount } });

t.test('a lost tunnel is replaced', async (t) => {
  const simulation = new SimulatedAgent(t);
  simulation.next = () => answerOf('a');
  simulation.connector();
  await simulation.until(() => simulation.up.length === 1);
  simulation.accepted[0]!.session.destroy(new TunnelError('tunnel_lost'));
  await simulation.until(() => simulation.accepted.length === 2 && simulation.up.length === 1);
  t.equal(simulation.registry.connectedCount, 1);
});

t.test('2.9 a second tunnel to the same server is refused while the first is open', async (t) => {
  const simulation = new SimulatedAgent(t);
  simulation.next = () => answerOf('a');
  simulation.connector();
  await simulation.until(() => simulation.up.length === 1);
  simulation.connector();
  await simulation.until(() => simulation.accepted.at(-1)?.ended !== undefined);
  t.equal(simulation.accepted[1]?.ended?.code, 'duplicate_tunnel');
  t.equal(simulation.accepted[1]?.session.peerHello, undefined, 'it never received a HELLO');

  const [first, second] = simulation.connectors;
  first!.stop();
  simulation.accepted[0]!.session.destroy(new TunnelError('tunnel_lost'));
  await simulation.until(() => second!.readyCount === 1);
  t.strictSame(simulation.up, ['a'], 'the second address takes over');
});

t.test('2.13 a tunnel is ready after the server has handled HELLO', async (t) => {
  const simulation = new SimulatedAgent(t);
  let readyCount: number | undefined;
  const onHello = () => {
    readyCount = simulation.connectors[0]!.readyCount;
  };
  simulation.next = () => ({ ...answerOf('a'), onHello });
  const connector = simulation.connector();
  await simulation.until(() => connector.readyCount === 1);
  t.equal(readyCount, 0);
});

t.test('2.13 a tunnel is closed if the server does not accept the agent in time', async (t) => {
  const time = controlTime(t);
  const simulation = new SimulatedAgent(t, { handshakeTimeout: 50 });
  simulation.next = () => ({ ...answerOf('a'), isMute: true });
  const bad = simulation.connector({ maxMs: 10_000 });
  await simulation.until(() => simulation.registry.connectedCount === 1);
  simulation.next = () => answerOf('a');
  const good = simulation.connector();
  await simulation.passTimeUntil(time, () => good.readyCount === 1);
  t.equal(bad.readyCount, 0);
  t.strictSame(simulation.failures, ['handshake_timeout']);
});

t.test('2.13 a tunnel that drains before the agent is accepted is closed', async (t) => {
  const time = controlTime(t);
  const simulation = new SimulatedAgent(t);
  const attemptsAtMs: number[] = [];
  simulation.next = () => {
    attemptsAtMs.push(performance.now());
    return { ...answerOf('a'), drains: attemptsAtMs.length < 6 };
  };
  const connector = simulation.connector({ maxMs: 10_000 });
  await simulation.passTimeUntil(time, () => connector.readyCount === 1);
  t.ok(attemptsAtMs[5]! - attemptsAtMs[4]! >= 110, 'pauses grow');
  t.strictSame(simulation.failures, new Array(5).fill('not_taken'));
  const open = simulation.accepted.filter(({ ended }) => ended === undefined);
  t.equal(open.length, 1, 'the other tunnels are closed');
});

t.test('2.10 the agent searches until it has a tunnel to all servers', async (t) => {
  const simulation = new SimulatedAgent(t);
  const order = ['a', 'a', 'a', 'b', 'b', 'c'];
  simulation.next = () => answerOf(order.shift() ?? 'd', 3);
  simulation.connector({ searches: true });
  await simulation.until(() => simulation.up.length === 3);
  t.strictSame(simulation.up.sort(), ['a', 'b', 'c']);
  t.equal(simulation.attempts, 6);
  const b = simulation.accepted.find(
    ({ serverId, ended }) => serverId === 'b' && ended === undefined,
  );
  b!.session.destroy(new TunnelError('tunnel_lost'));
  await simulation.until(() => simulation.up.includes('d'));
  t.strictSame(simulation.up.sort(), ['a', 'c', 'd']);
});

t.test('2.10 a higher server count starts the search', async (t) => {
  const simulation = new SimulatedAgent(t);
  simulation.next = () => answerOf('a');
  simulation.connector({ searches: true });
  await simulation.until(() => simulation.up.length === 1);
  simulation.next = () => answerOf('b', 2);
  simulation.accepted[0]!.session.updateHello({ serverCount: 2 });
  await simulation.until(() => simulation.registry.connectedCount === 2);
  t.equal(simulation.attempts, 2);
});

t.test('2.9 a second tunnel is accepted if the first drains', async (t) => {
  const simulation = new SimulatedAgent(t);
  simulation.next = () => answerOf('a');
  const connector = simulation.connector();
  await simulation.until(() => connector.readyCount === 1);
  simulation.accepted[0]!.session.drain(new TunnelError('shutting_down'));
  await simulation.until(() => simulation.up.length === 2);
  t.equal(simulation.registry.connectedCount, 1);
  t.equal(
    simulation.accepted[0]!.ended,
    undefined,
    '6.2 a server that drains ends its tunnel itself',
  );
  simulation.accepted[0]!.session.close();
  await simulation.until(() => simulation.up.length === 1);
});

t.test('2.9 a second tunnel is accepted if the first is silent', async (t) => {
  const time = controlTime(t);
  const simulation = new SimulatedAgent(t);
  simulation.next = () => answerOf('a');
  simulation.connector();
  await simulation.until(() => simulation.up.length === 1);
  // From now on the server does not send, like a machine without power.
  const { transport } = simulation.accepted[0]!.session;
  transport.write = () => true;
  simulation.connector();
  await simulation.until(() => simulation.accepted.at(-1)?.ended !== undefined);
  t.equal(
    simulation.accepted[1]?.ended?.code,
    'duplicate_tunnel',
    'the silence is not detected yet',
  );
  // A third tunnel, as after a restart of the server behind a load balancer.
  const [first] = simulation.connectors;
  await simulation.passTimeUntil(time, () => first!.sessions[0]?.isSilent ?? true);
  simulation.connector();
  await simulation.passTimeUntil(time, () => simulation.up.filter((id) => id === 'a').length === 2);
});

t.test('3.12, 6.2 if stream IDs run out, a new tunnel replaces the old one', async (t) => {
  const simulation = new SimulatedAgent(t);
  const firstStreamId = 2 ** 31 - 2 * 2 ** 20 - 4;
  simulation.next = () => ({
    ...answerOf('a'),
    ...(simulation.accepted.length === 0 && { firstStreamId }),
  });
  simulation.connector();
  await simulation.until(() => simulation.up.length === 1);
  const [old] = simulation.accepted;
  const streams = Array.from({ length: 3 }, () =>
    old!.session.open({ host: '127.0.0.1', port: 1 }, { onClose: () => {} }),
  );
  await simulation.until(() => simulation.up.length === 2);
  t.notOk(
    streams.some(({ isClosed }) => isClosed),
    'its streams continue',
  );
  t.equal(simulation.registry.connectedCount, 1);
  for (const stream of streams) {
    t.equal(old!.ended, undefined);
    stream.reset(new TunnelError('cancelled'));
  }
  await simulation.until(() => old!.ended !== undefined);
  t.equal(old!.ended, null);
  t.equal(simulation.accepted.length, 2);
});

t.test('a retired connector closes a tunnel after its last stream', async (t) => {
  const simulation = new SimulatedAgent(t);
  simulation.next = () => answerOf('a');
  const connector = simulation.connector();
  await simulation.until(() => simulation.up.length === 1);
  const { session } = simulation.accepted[0]!;
  const stream = await new Promise<TunnelStream>((resolve) => {
    const opening: TunnelStream = session.open(
      { host: '127.0.0.1', port: 1 },
      { onOpened: () => resolve(opening), onClose: () => simulation.changed() },
    );
  });
  connector.retire();
  await simulation.until(() => session.isDraining);
  t.notOk(stream.isClosed);
  t.notOk(connector.isDone);
  stream.reset(new TunnelError('cancelled'));
  await simulation.until(() => simulation.accepted[0]!.ended !== undefined);
  t.ok(connector.isDone);
  t.equal(simulation.attempts, 1, 'the address is not dialed again');
});

t.test('2.11 the peers are those of all servers, and stay known without a tunnel', async (t) => {
  const simulation = new SimulatedAgent(t);
  const servers = [
    { serverId: 'a', serverCount: 2, peers: ['p:1', 'q:1'] },
    { serverId: 'b', serverCount: 2, peers: ['q:1', 'r:1'] },
  ];
  simulation.next = () => ({ hello: servers.shift() ?? {} });
  simulation.connector({ searches: true });
  await simulation.until(() => simulation.registry.connectedCount === 2);
  t.strictSame([...simulation.registry.peers].sort(), ['p:1', 'q:1', 'r:1']);
  simulation.next = undefined;
  const [a, b] = simulation.accepted;
  a!.session.drain(new TunnelError('shutting_down'));
  await simulation.until(() => simulation.registry.connectedCount === 1);
  t.strictSame(
    [...simulation.registry.peers].sort(),
    ['q:1', 'r:1'],
    'the peers of a draining server do not count',
  );
  b!.session.updateHello({ peers: ['s:1'] });
  await simulation.until(() => simulation.registry.peers.includes('s:1'));
  t.strictSame([...simulation.registry.peers], ['s:1']);
  b!.session.destroy(new TunnelError('tunnel_lost'));
  await simulation.until(() => simulation.registry.connectedCount === 0);
  t.strictSame([...simulation.registry.peers], ['s:1']);
});

t.test('2.11 at most 64 peers are dialed', async (t) => {
  const simulation = new SimulatedAgent(t);
  const list = (prefix: string) => Array.from({ length: 60 }, (_, index) => `${prefix}${index}:1`);
  const servers = ['a', 'b'].map((serverId) => ({
    serverId,
    serverCount: 2,
    peers: list(serverId),
  }));
  simulation.next = () => ({ hello: servers.shift() ?? {} });
  simulation.connector({ searches: true });
  await simulation.until(() => simulation.registry.connectedCount === 2);
  t.equal(simulation.registry.peers.length, 64);
});

const refusals = {
  identity_refused: new TunnelError('unauthorized', 'the certificate does not cover it'),
  not_taken: new TunnelError('shutting_down', 'closed at HELLO'),
} as const;

for (const searches of [false, true]) {
  for (const [reason, refusal] of Object.entries(refusals)) {
    t.test(`${reason}: pauses grow after each refusal, searching: ${searches}`, async (t) => {
      const time = controlTime(t);
      const simulation = new SimulatedAgent(t);
      const attemptsAtMs: number[] = [];
      simulation.next = () => {
        attemptsAtMs.push(performance.now());
        return { ...answerOf('a', 2), ...(attemptsAtMs.length < 6 && { refusal }) };
      };
      const connector = simulation.connector({ searches, maxMs: 10_000 });
      await simulation.passTimeUntil(time, () => connector.readyCount === 1);
      const pauses = attemptsAtMs.slice(1, 6).map((atMs, index) => atMs - attemptsAtMs[index]!);
      t.ok(pauses.at(-1)! >= 110, `${pauses.map(Math.round)}`);
      t.strictSame(
        simulation.failures,
        new Array(5).fill(reason),
        '2.13 each tunnel failed before it was ready',
      );
      // A tunnel that is lost later is replaced at once.
      simulation.accepted.at(-1)!.session.destroy(new TunnelError('tunnel_lost'));
    });
  }
}
