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
  /** Why the tunnel ended; undefined before, null after a clean end. */
  ended: TunnelError | null | undefined;
}

/** How a server answers a connection. */
interface Answer {
  readonly hello: Hello;
  readonly firstStreamId?: number;
  /** Why it refuses the agent, as soon as it has the agent's HELLO. */
  readonly refusal?: TunnelError;
  /** Called with the agent's HELLO, before the server sends anything else. */
  readonly onHello?: () => void;
  /** It drains at once. */
  readonly drains?: boolean;
  /** It sends HELLO and nothing else. */
  readonly isMute?: boolean;
}

/** Unlike a socket, one end of a pair is not notified when the other is destroyed. */
function breakTogether(one: Duplex, other: Duplex): void {
  one.on('close', () => {
    if (!one.readableEnded || !one.writableFinished) other.destroy();
  });
}

/** An agent with in-memory tunnels to simulated servers. */
class Stage {
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

  /** @param maxMs the longest pause; the first is 10 ms */
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
            // Frames that wait leave at the end of this tick.
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

const say = (serverId: string, serverCount = 1) => ({ hello: { serverId, serverCount } });

t.test('a lost tunnel is replaced', async (t) => {
  const stage = new Stage(t);
  stage.next = () => say('a');
  stage.connector();
  await stage.until(() => stage.up.length === 1);
  stage.accepted[0]!.session.destroy(new TunnelError('tunnel_lost'));
  await stage.until(() => stage.accepted.length === 2 && stage.up.length === 1);
  t.equal(stage.registry.connectedCount, 1);
});

t.test(
  '2.9 a second tunnel to the same server is refused, and opened when the first is lost',
  async (t) => {
    const stage = new Stage(t);
    stage.next = () => say('a');
    stage.connector();
    await stage.until(() => stage.up.length === 1);
    stage.connector();
    await stage.until(() => stage.accepted.at(-1)?.ended !== undefined);
    t.equal(stage.accepted[1]?.ended?.code, 'duplicate_tunnel');
    t.equal(stage.accepted[1]?.session.peerHello, undefined, 'it never received a HELLO');

    const [first, second] = stage.connectors;
    first!.stop();
    stage.accepted[0]!.session.destroy(new TunnelError('tunnel_lost'));
    await stage.until(() => second!.readyCount === 1);
    t.strictSame(stage.up, ['a'], 'the second address takes over');
  },
);

t.test('2.13 a tunnel is ready when the server has handled HELLO, not before', async (t) => {
  const stage = new Stage(t);
  let readyCount: number | undefined;
  const onHello = () => {
    readyCount = stage.connectors[0]!.readyCount;
  };
  stage.next = () => ({ ...say('a'), onHello });
  const connector = stage.connector();
  await stage.until(() => connector.readyCount === 1);
  t.equal(readyCount, 0);
});

t.test(
  '2.13 a tunnel whose server never accepts the agent is closed, and another address can be used',
  async (t) => {
    const stage = new Stage(t, { handshakeTimeout: 50 });
    stage.next = () => ({ ...say('a'), isMute: true });
    const bad = stage.connector({ maxMs: 10_000 });
    await stage.until(() => stage.registry.connectedCount === 1);
    stage.next = () => say('a');
    const good = stage.connector();
    await stage.until(() => good.readyCount === 1);
    t.equal(bad.readyCount, 0);
    t.strictSame(stage.failures, ['handshake_timeout']);
  },
);

t.test(
  '2.13 a tunnel that drains before the server accepts the agent is closed at once',
  async (t) => {
    const time = controlTime(t);
    const stage = new Stage(t);
    const attemptsAtMs: number[] = [];
    stage.next = () => {
      attemptsAtMs.push(performance.now());
      return { ...say('a'), drains: attemptsAtMs.length < 6 };
    };
    const connector = stage.connector({ maxMs: 10_000 });
    await stage.passTimeUntil(time, () => connector.readyCount === 1);
    t.ok(attemptsAtMs[5]! - attemptsAtMs[4]! >= 110, 'pauses grow');
    t.strictSame(stage.failures, new Array(5).fill('not_taken'));
    const open = stage.accepted.filter(({ ended }) => ended === undefined);
    t.equal(open.length, 1, 'all others are closed');
  },
);

t.test(
  '2.10 the search continues until all servers have a tunnel, and starts again after a loss',
  async (t) => {
    const stage = new Stage(t);
    const order = ['a', 'a', 'a', 'b', 'b', 'c'];
    stage.next = () => say(order.shift() ?? 'd', 3);
    stage.connector({ searches: true });
    await stage.until(() => stage.up.length === 3);
    t.strictSame(stage.up.sort(), ['a', 'b', 'c']);
    t.equal(stage.attempts, 6);
    const b = stage.accepted.find(({ serverId, ended }) => serverId === 'b' && ended === undefined);
    b!.session.destroy(new TunnelError('tunnel_lost'));
    await stage.until(() => stage.up.includes('d'));
    t.strictSame(stage.up.sort(), ['a', 'c', 'd']);
  },
);

t.test('2.10 a higher server count starts the search', async (t) => {
  const stage = new Stage(t);
  stage.next = () => say('a');
  stage.connector({ searches: true });
  await stage.until(() => stage.up.length === 1);
  stage.next = () => say('b', 2);
  stage.accepted[0]!.session.updateHello({ serverCount: 2 });
  await stage.until(() => stage.registry.connectedCount === 2);
  t.equal(stage.attempts, 2);
});

t.test('2.9 a second tunnel is no duplicate of one that drains', async (t) => {
  const stage = new Stage(t);
  stage.next = () => say('a');
  const connector = stage.connector();
  await stage.until(() => connector.readyCount === 1);
  stage.accepted[0]!.session.drain(new TunnelError('shutting_down'));
  await stage.until(() => stage.up.length === 2);
  t.equal(stage.registry.connectedCount, 1);
  t.equal(stage.accepted[0]!.ended, undefined, '6.2 a server that drains ends its tunnel itself');
  stage.accepted[0]!.session.close();
  await stage.until(() => stage.up.length === 1);
});

t.test('2.9 a second tunnel is no duplicate of one whose server is silent', async (t) => {
  const time = controlTime(t);
  const stage = new Stage(t);
  stage.next = () => say('a');
  stage.connector();
  await stage.until(() => stage.up.length === 1);
  // Silent from here on, like a machine that lost power.
  const { transport } = stage.accepted[0]!.session;
  transport.write = () => true;
  stage.connector();
  await stage.until(() => stage.accepted.at(-1)?.ended !== undefined);
  t.equal(stage.accepted[1]?.ended?.code, 'duplicate_tunnel', 'at first the silence is not known');
  // A third tunnel, as after a restart of the server behind a load balancer.
  const [held] = stage.connectors;
  await stage.passTimeUntil(time, () => held!.sessions[0]?.isSilent ?? true);
  stage.connector();
  await stage.passTimeUntil(time, () => stage.up.filter((id) => id === 'a').length === 2);
});

t.test(
  '3.12, 6.2 when stream IDs are used up, a new tunnel replaces the old one, which closes when idle',
  async (t) => {
    const stage = new Stage(t);
    const firstStreamId = 2 ** 31 - 2 * 2 ** 20 - 4;
    stage.next = () => ({ ...say('a'), ...(stage.accepted.length === 0 && { firstStreamId }) });
    stage.connector();
    await stage.until(() => stage.up.length === 1);
    const [old] = stage.accepted;
    const streams = Array.from({ length: 3 }, () =>
      old!.session.open({ host: '127.0.0.1', port: 1 }, { onClose: () => {} }),
    );
    await stage.until(() => stage.up.length === 2);
    t.notOk(
      streams.some(({ isClosed }) => isClosed),
      'its streams continue',
    );
    t.equal(stage.registry.connectedCount, 1);
    for (const stream of streams) {
      t.equal(old!.ended, undefined);
      stream.reset(new TunnelError('cancelled'));
    }
    await stage.until(() => old!.ended !== undefined);
    t.equal(old!.ended, null);
    t.equal(stage.accepted.length, 2);
  },
);

t.test('a retired connector ends each tunnel with its last stream', async (t) => {
  const stage = new Stage(t);
  stage.next = () => say('a');
  const connector = stage.connector();
  await stage.until(() => stage.up.length === 1);
  const { session } = stage.accepted[0]!;
  const stream = await new Promise<TunnelStream>((resolve) => {
    const opening: TunnelStream = session.open(
      { host: '127.0.0.1', port: 1 },
      { onOpened: () => resolve(opening), onClose: () => stage.changed() },
    );
  });
  connector.retire();
  await stage.until(() => session.isDraining);
  t.notOk(stream.isClosed);
  t.notOk(connector.isDone);
  stream.reset(new TunnelError('cancelled'));
  await stage.until(() => stage.accepted[0]!.ended !== undefined);
  t.ok(connector.isDone);
  t.equal(stage.attempts, 1, 'the address is not dialed again');
});

t.test(
  '2.11 the peers are those of all servers, and the last known ones without a tunnel',
  async (t) => {
    const stage = new Stage(t);
    const servers = [
      { serverId: 'a', serverCount: 2, peers: ['p:1', 'q:1'] },
      { serverId: 'b', serverCount: 2, peers: ['q:1', 'r:1'] },
    ];
    stage.next = () => ({ hello: servers.shift() ?? {} });
    stage.connector({ searches: true });
    await stage.until(() => stage.registry.connectedCount === 2);
    t.strictSame([...stage.registry.peers].sort(), ['p:1', 'q:1', 'r:1']);
    stage.next = undefined;
    const [a, b] = stage.accepted;
    a!.session.drain(new TunnelError('shutting_down'));
    await stage.until(() => stage.registry.connectedCount === 1);
    t.strictSame(
      [...stage.registry.peers].sort(),
      ['q:1', 'r:1'],
      'a drains: its peers do not count',
    );
    b!.session.updateHello({ peers: ['s:1'] });
    await stage.until(() => stage.registry.peers.includes('s:1'));
    t.strictSame([...stage.registry.peers], ['s:1']);
    b!.session.destroy(new TunnelError('tunnel_lost'));
    await stage.until(() => stage.registry.connectedCount === 0);
    t.strictSame([...stage.registry.peers], ['s:1']);
  },
);

t.test('2.11 at most 64 peers are dialed', async (t) => {
  const stage = new Stage(t);
  const list = (prefix: string) => Array.from({ length: 60 }, (_, index) => `${prefix}${index}:1`);
  const servers = ['a', 'b'].map((serverId) => ({
    serverId,
    serverCount: 2,
    peers: list(serverId),
  }));
  stage.next = () => ({ hello: servers.shift() ?? {} });
  stage.connector({ searches: true });
  await stage.until(() => stage.registry.connectedCount === 2);
  t.equal(stage.registry.peers.length, 64);
});

const refusals = {
  identity_refused: new TunnelError('unauthorized', 'the certificate does not cover it'),
  not_taken: new TunnelError('shutting_down', 'closed at HELLO'),
} as const;

for (const searches of [false, true]) {
  for (const [reason, refusal] of Object.entries(refusals)) {
    t.test(`${reason}: the agent waits longer each time, searching: ${searches}`, async (t) => {
      const time = controlTime(t);
      const stage = new Stage(t);
      const attemptsAtMs: number[] = [];
      stage.next = () => {
        attemptsAtMs.push(performance.now());
        return { ...say('a', 2), ...(attemptsAtMs.length < 6 && { refusal }) };
      };
      const connector = stage.connector({ searches, maxMs: 10_000 });
      await stage.passTimeUntil(time, () => connector.readyCount === 1);
      const pauses = attemptsAtMs.slice(1, 6).map((atMs, index) => atMs - attemptsAtMs[index]!);
      t.ok(pauses.at(-1)! >= 110, `${pauses.map(Math.round)}`);
      t.strictSame(stage.failures, new Array(5).fill(reason), '2.13 it was never ready');
      // A tunnel that is lost later is replaced at once.
      stage.accepted.at(-1)!.session.destroy(new TunnelError('tunnel_lost'));
    });
  }
}
