import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import net from 'node:net';
import { dialTarget, interleaveFamilies } from '@fairlead/agent/internal';
import { TunnelError } from '@fairlead/protocol';
import { pickPort, reserveRefusedPort, startBlackholeTarget } from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';

const timeoutMs = 60_000;

async function listen(t: Test, host: string, port = 0): Promise<net.Server> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(port, host);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server;
}

const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port;

/** A port that does not answer the SYN. */
async function blackholePort(t: Test, host = '127.0.0.1', wantedPort = 0): Promise<number> {
  const target = await startBlackholeTarget({ host, port: wantedPort });
  t.teardown(() => target.close());
  return target.port;
}

async function refusedPort(t: Test, host = '127.0.0.1'): Promise<number> {
  const target = await reserveRefusedPort({ host });
  t.teardown(() => target.close());
  return target.port;
}

const ip4 = (address: string): LookupAddress => ({ address, family: 4 });
const ip6 = (address: string): LookupAddress => ({ address, family: 6 });

function openSockets(): number {
  return process
    .getActiveResourcesInfo()
    .filter((name) => name === 'TCPSocketWrap' || name === 'TCPConnectWrap').length;
}

/** Handles close in the closing phase of the loop's current turn. */
async function turnOfTheLoop(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}

t.test('an IPv4 address: connected, and half-close is allowed', async (t) => {
  const server = await listen(t, '127.0.0.1');
  const accepted = once(server, 'connection');
  const lookup = () => Promise.reject(new Error('an address needs no look-up'));
  const socket = await dialTarget(
    { host: '127.0.0.1', port: portOf(server) },
    { timeoutMs, lookup },
  );
  t.teardown(() => socket.destroy());
  const [peer] = (await accepted) as [net.Socket];
  peer.end();
  socket.resume();
  await once(socket, 'end');
  t.ok(socket.writable, 'our side stays open after the FIN of the peer');
  peer.on('data', (chunk) => t.equal(String(chunk), 'still here'));
  socket.end('still here');
  await once(peer, 'end');
});

t.test('an IPv6 address', async (t) => {
  const server = await listen(t, '::1');
  const socket = await dialTarget({ host: '::1', port: portOf(server) }, { timeoutMs });
  t.equal(socket.remoteAddress, '::1');
  socket.destroy();
});

t.test('nothing that arrives right away is lost', async (t) => {
  const server = await listen(t, '127.0.0.1');
  server.on('connection', (peer) => peer.end('banner'));
  const socket = await dialTarget({ host: '127.0.0.1', port: portOf(server) }, { timeoutMs });
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  t.equal(Buffer.concat(chunks).toString(), 'banner');
  socket.destroy();
});

t.test('a refused port', async (t) => {
  const port = await refusedPort(t);
  await t.rejects(dialTarget({ host: '127.0.0.1', port }, { timeoutMs }), {
    code: 'target_refused',
    message: `dial tcp 127.0.0.1:${port}: connect: connection refused`,
  });
});

t.test('a refused IPv6 port is named in brackets', async (t) => {
  const port = await refusedPort(t, '::1');
  await t.rejects(dialTarget({ host: '::1', port }, { timeoutMs }), {
    code: 'target_refused',
    message: `dial tcp [::1]:${port}: connect: connection refused`,
  });
});

t.test('a target that never answers the SYN', async (t) => {
  const port = await blackholePort(t);
  const before = openSockets();
  const time = controlTime(t);
  const dial = t.rejects(dialTarget({ host: '127.0.0.1', port }, { timeoutMs }), {
    code: 'dial_timeout',
    message: `dial tcp 127.0.0.1:${port}: i/o timeout`,
  });
  await time.advance(timeoutMs);
  await dial;
  await turnOfTheLoop();
  t.equal(openSockets(), before, 'no socket is left behind');
});

t.test('names', async (t) => {
  t.test('an unknown name', async (t) => {
    const lookup = () =>
      Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }));
    await t.rejects(dialTarget({ host: 'no.such.host', port: 80 }, { timeoutMs, lookup }), {
      code: 'dns_failed',
      message: 'dial tcp: lookup no.such.host: no such host',
    });
  });

  t.test('a resolver that is down', async (t) => {
    const lookup = () =>
      Promise.reject(Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' }));
    await t.rejects(dialTarget({ host: 'a.test', port: 80 }, { timeoutMs, lookup }), {
      code: 'dns_failed',
      message: 'dial tcp: lookup a.test: temporary failure in name resolution',
    });
  });

  t.test('a name without addresses', async (t) => {
    const lookup = async () => [];
    await t.rejects(dialTarget({ host: 'a.test', port: 80 }, { timeoutMs, lookup }), {
      code: 'dns_failed',
    });
  });

  t.test('a resolver that does not answer', async (t) => {
    const lookup = () => new Promise<LookupAddress[]>(() => {});
    await t.rejects(dialTarget({ host: 'a.test', port: 80 }, { timeoutMs: 20, lookup }), {
      code: 'dial_timeout',
      message: 'dial tcp: lookup a.test: i/o timeout',
    });
  });

  t.test('localhost by the system resolver', async (t) => {
    const server = await listen(t, '127.0.0.1');
    const socket = await dialTarget({ host: 'localhost', port: portOf(server) }, { timeoutMs });
    t.equal(socket.remotePort, portOf(server));
    socket.destroy();
  });

  t.test('a refused first address gives way to the next at once', async (t) => {
    const server = await listen(t, '127.0.0.1');
    const refused = Array.from({ length: 10 }, (_, index) => ip4(`127.0.0.${index + 2}`));
    const lookup = async () => [...refused, ip4('127.0.0.1')];
    // Time stands still: no attempt waits for its delay.
    controlTime(t);
    const socket = await dialTarget(
      { host: 'a.test', port: portOf(server) },
      { timeoutMs, lookup },
    );
    t.equal(socket.remoteAddress, '127.0.0.1');
    socket.destroy();
  });

  t.test('a silent first address is joined by the next, and its socket closed', async (t) => {
    // A port that the system picks on one address can be taken on the other.
    const port = await blackholePort(t, '127.0.0.2', await pickPort());
    await listen(t, '127.0.0.1', port);
    const lookup = async () => [ip4('127.0.0.2'), ip4('127.0.0.1')];
    const before = openSockets();
    const time = controlTime(t);
    let isConnected = false;
    const dial = dialTarget({ host: 'a.test', port }, { timeoutMs, lookup }).finally(() => {
      isConnected = true;
    });
    await time.advance(240);
    await turnOfTheLoop();
    t.notOk(isConnected, 'the first has its head start');
    await time.advance(20);
    const socket = await dial;
    t.equal(socket.remoteAddress, '127.0.0.1');
    await turnOfTheLoop();
    t.equal(openSockets(), before + 2, 'the winner and its accepted peer');
    socket.destroy();
  });

  t.test('every address refused: the text names each', async (t) => {
    const port = await refusedPort(t);
    const lookup = async () => [ip4('127.0.0.2'), ip4('127.0.0.3')];
    await t.rejects(dialTarget({ host: 'a.test', port }, { timeoutMs, lookup }), {
      code: 'target_refused',
      message:
        `dial tcp 127.0.0.2:${port}: connect: connection refused; ` +
        `dial tcp 127.0.0.3:${port}: connect: connection refused`,
    });
  });

  t.test('one refused, one silent: a timeout that tells both', async (t) => {
    const port = await blackholePort(t, '127.0.0.2');
    const lookup = async () => [ip4('127.0.0.3'), ip4('127.0.0.2')];
    const time = controlTime(t);
    const dial = t.rejects(dialTarget({ host: 'a.test', port }, { timeoutMs, lookup }), {
      code: 'dial_timeout',
      message:
        `dial tcp 127.0.0.2:${port}: i/o timeout; ` +
        `dial tcp 127.0.0.3:${port}: connect: connection refused`,
    });
    for (let second = 0; second < timeoutMs; second += 1_000) await time.advance(1_000);
    await dial;
  });
});

t.test('families alternate, beginning with that of the first address', async (t) => {
  t.same(interleaveFamilies([ip6('::1'), ip6('::2'), ip6('::3'), ip4('1.1.1.1')]), [
    ip6('::1'),
    ip4('1.1.1.1'),
    ip6('::2'),
    ip6('::3'),
  ]);
  t.same(interleaveFamilies([ip4('1.1.1.1'), ip6('::1'), ip4('1.1.1.2')]), [
    ip4('1.1.1.1'),
    ip6('::1'),
    ip4('1.1.1.2'),
  ]);
  t.same(interleaveFamilies([]), []);
});

t.test('check', async (t) => {
  t.test('sees each address before it is dialled, and may pass over some', async (t) => {
    const server = await listen(t, '127.0.0.1');
    const port = portOf(server);
    const checked: string[] = [];
    const check = (address: string, checkedPort: number): void => {
      checked.push(`${address} ${checkedPort}`);
      if (address === '169.254.169.254') throw new TunnelError('policy_denied');
    };
    const lookup = async () => [ip4('169.254.169.254'), ip4('127.0.0.1')];
    const socket = await dialTarget({ host: 'a.test', port }, { timeoutMs, lookup, check });
    t.equal(socket.remoteAddress, '127.0.0.1');
    t.same(checked, [`169.254.169.254 ${port}`, `127.0.0.1 ${port}`]);
    socket.destroy();
  });

  t.test('denies when nothing else is left, and nothing was dialled', async (t) => {
    const server = await listen(t, '127.0.0.1');
    server.on('connection', () => t.fail('dialled in spite of the policy'));
    const check = (): void => {
      throw new TunnelError('policy_denied', 'rule 3 denies this address');
    };
    await t.rejects(dialTarget({ host: '127.0.0.1', port: portOf(server) }, { timeoutMs, check }), {
      code: 'policy_denied',
      message: 'rule 3 denies this address',
    });
  });
});

t.test('abort', async (t) => {
  t.test('during the look-up', async (t) => {
    const abort = new AbortController();
    const check = (): void => {
      t.fail('dialled after the abort');
    };
    let finishLookup: (addresses: LookupAddress[]) => void = () => {};
    const lookup = () =>
      new Promise<LookupAddress[]>((resolve) => {
        finishLookup = resolve;
      });
    const dial = dialTarget(
      { host: 'a.test', port: 80 },
      { timeoutMs, lookup, check, signal: abort.signal },
    );
    abort.abort();
    await t.rejects(dial, { code: 'cancelled' });
    finishLookup([ip4('127.0.0.1')]);
    await turnOfTheLoop();
  });

  t.test('during the connect, with the reason given; no socket is left behind', async (t) => {
    const port = await blackholePort(t);
    const before = openSockets();
    const abort = new AbortController();
    const dial = dialTarget({ host: '127.0.0.1', port }, { timeoutMs, signal: abort.signal });
    await turnOfTheLoop();
    t.ok(openSockets() > before, 'the connect is under way');
    const reason = new TunnelError('shutting_down');
    abort.abort(reason);
    t.equal(await dial.catch((error: unknown) => error), reason);
    await turnOfTheLoop();
    t.equal(openSockets(), before);
  });

  t.test('before the start', async (t) => {
    const signal = AbortSignal.abort();
    await t.rejects(dialTarget({ host: '127.0.0.1', port: 80 }, { timeoutMs, signal }), {
      code: 'cancelled',
    });
  });

  t.test('after the end: the socket stays', async (t) => {
    const server = await listen(t, '127.0.0.1');
    const abort = new AbortController();
    const target = { host: '127.0.0.1', port: portOf(server) };
    const socket = await dialTarget(target, { timeoutMs, signal: abort.signal });
    abort.abort();
    await turnOfTheLoop();
    t.notOk(socket.destroyed);
    socket.destroy();
  });
});
