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

/** Starts a port that does not answer a SYN. */
async function blackholePort(t: Test, host = '127.0.0.1', fixedPort = 0): Promise<number> {
  const target = await startBlackholeTarget({ host, port: fixedPort });
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

/** Waits for the closing phase of the current tick, in which destroyed handles are closed. */
async function nextTick(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}

t.test('connects to an IPv4 address, and allows half-close', async (t) => {
  const server = await listen(t, '127.0.0.1');
  const accepted = once(server, 'connection');
  const lookup = () => Promise.reject(new Error('an address needs no lookup'));
  const socket = await dialTarget(
    { host: '127.0.0.1', port: portOf(server) },
    { timeoutMs, lookup },
  );
  t.teardown(() => socket.destroy());
  const [peer] = (await accepted) as [net.Socket];
  peer.end();
  socket.resume();
  await once(socket, 'end');
  t.ok(socket.writable, 'the socket stays writable after the FIN of the peer');
  peer.on('data', (chunk) => t.equal(String(chunk), 'still open'));
  socket.end('still open');
  await once(peer, 'end');
});

t.test('connects to an IPv6 address', async (t) => {
  const server = await listen(t, '::1');
  const socket = await dialTarget({ host: '::1', port: portOf(server) }, { timeoutMs });
  t.equal(socket.remoteAddress, '::1');
  socket.destroy();
});

t.test('bytes that arrive right after the connect are delivered', async (t) => {
  const server = await listen(t, '127.0.0.1');
  server.on('connection', (peer) => peer.end('banner'));
  const socket = await dialTarget({ host: '127.0.0.1', port: portOf(server) }, { timeoutMs });
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  t.equal(Buffer.concat(chunks).toString(), 'banner');
  socket.destroy();
});

t.test('a closed port is target_refused', async (t) => {
  const port = await refusedPort(t);
  await t.rejects(dialTarget({ host: '127.0.0.1', port }, { timeoutMs }), {
    code: 'target_refused',
    message: `dial tcp 127.0.0.1:${port}: connect: connection refused`,
  });
});

t.test('the error names an IPv6 address in brackets', async (t) => {
  const port = await refusedPort(t, '::1');
  await t.rejects(dialTarget({ host: '::1', port }, { timeoutMs }), {
    code: 'target_refused',
    message: `dial tcp [::1]:${port}: connect: connection refused`,
  });
});

t.test('a target that does not answer the SYN is dial_timeout', async (t) => {
  const port = await blackholePort(t);
  const before = openSockets();
  const time = controlTime(t);
  const dial = t.rejects(dialTarget({ host: '127.0.0.1', port }, { timeoutMs }), {
    code: 'dial_timeout',
    message: `dial tcp 127.0.0.1:${port}: i/o timeout`,
  });
  await time.advance(timeoutMs);
  await dial;
  await nextTick();
  t.equal(openSockets(), before, 'no socket stays open');
});

t.test('a target with a name', async (t) => {
  t.test('an unknown name is dns_failed', async (t) => {
    const lookup = () =>
      Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }));
    await t.rejects(dialTarget({ host: 'no.such.host', port: 80 }, { timeoutMs, lookup }), {
      code: 'dns_failed',
      message: 'dial tcp: lookup no.such.host: no such host',
    });
  });

  t.test('a resolver that fails is dns_failed', async (t) => {
    const lookup = () =>
      Promise.reject(Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' }));
    await t.rejects(dialTarget({ host: 'a.test', port: 80 }, { timeoutMs, lookup }), {
      code: 'dns_failed',
      message: 'dial tcp: lookup a.test: temporary failure in name resolution',
    });
  });

  t.test('a name without addresses is dns_failed', async (t) => {
    const lookup = async () => [];
    await t.rejects(dialTarget({ host: 'a.test', port: 80 }, { timeoutMs, lookup }), {
      code: 'dns_failed',
    });
  });

  t.test('a resolver that does not answer is dial_timeout', async (t) => {
    const lookup = () => new Promise<LookupAddress[]>(() => {});
    await t.rejects(dialTarget({ host: 'a.test', port: 80 }, { timeoutMs: 20, lookup }), {
      code: 'dial_timeout',
      message: 'dial tcp: lookup a.test: i/o timeout',
    });
  });

  t.test('the system resolver resolves localhost', async (t) => {
    const server = await listen(t, '127.0.0.1');
    const socket = await dialTarget({ host: 'localhost', port: portOf(server) }, { timeoutMs });
    t.equal(socket.remotePort, portOf(server));
    socket.destroy();
  });

  t.test('after a refused address, the next one is dialed at once', async (t) => {
    const server = await listen(t, '127.0.0.1');
    const refused = Array.from({ length: 10 }, (_, index) => ip4(`127.0.0.${index + 2}`));
    const lookup = async () => [...refused, ip4('127.0.0.1')];
    // The time does not advance, so an attempt that waits for its delay would never start.
    controlTime(t);
    const socket = await dialTarget(
      { host: 'a.test', port: portOf(server) },
      { timeoutMs, lookup },
    );
    t.equal(socket.remoteAddress, '127.0.0.1');
    socket.destroy();
  });

  t.test('if an address is silent, the next one is dialed after 250 ms', async (t) => {
    // A port that is free on one address can be in use on the other.
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
    await nextTick();
    t.notOk(isConnected, 'only the first address is dialed for 250 ms');
    await time.advance(20);
    const socket = await dial;
    t.equal(socket.remoteAddress, '127.0.0.1');
    await nextTick();
    t.equal(openSockets(), before + 2, 'only the connected socket and its peer are open');
    socket.destroy();
  });

  t.test('if all addresses refuse, the error names each', async (t) => {
    const port = await refusedPort(t);
    const lookup = async () => [ip4('127.0.0.2'), ip4('127.0.0.3')];
    await t.rejects(dialTarget({ host: 'a.test', port }, { timeoutMs, lookup }), {
      code: 'target_refused',
      message:
        `dial tcp 127.0.0.2:${port}: connect: connection refused; ` +
        `dial tcp 127.0.0.3:${port}: connect: connection refused`,
    });
  });

  t.test('if one address refuses and one is silent, the timeout names both', async (t) => {
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

t.test('address families alternate, starting with the family of the first address', async (t) => {
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

t.test('the check option', async (t) => {
  t.test('is called with each address before it is dialed, and can skip some', async (t) => {
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

  t.test('agent_failed is not the error of a dial if any address answered', async (t) => {
    const port = await refusedPort(t);
    const check = (address: string): void => {
      if (address === '127.0.0.2') throw new TunnelError('agent_failed', 'no route');
    };
    const lookup = async () => [ip4('127.0.0.2'), ip4('127.0.0.3')];
    await t.rejects(dialTarget({ host: 'a.test', port }, { timeoutMs, lookup, check }), {
      code: 'target_refused',
      message: `no route; dial tcp 127.0.0.3:${port}: connect: connection refused`,
    });
  });

  t.test('causes the error of the dial if it skips all addresses', async (t) => {
    const server = await listen(t, '127.0.0.1');
    server.on('connection', () => t.fail('dialed despite the policy'));
    const check = (): void => {
      throw new TunnelError('policy_denied', 'rule 3 denies this address');
    };
    await t.rejects(dialTarget({ host: '127.0.0.1', port: portOf(server) }, { timeoutMs, check }), {
      code: 'policy_denied',
      message: 'rule 3 denies this address',
    });
  });
});

t.test('an abort', async (t) => {
  t.test('during the lookup cancels the dial', async (t) => {
    const abort = new AbortController();
    const check = (): void => {
      t.fail('dialed after the abort');
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
    await nextTick();
  });

  t.test('during the connect closes the socket, and the error is the reason', async (t) => {
    const port = await blackholePort(t);
    const before = openSockets();
    const abort = new AbortController();
    const dial = dialTarget({ host: '127.0.0.1', port }, { timeoutMs, signal: abort.signal });
    await nextTick();
    t.ok(openSockets() > before, 'the connect has started');
    const reason = new TunnelError('shutting_down');
    abort.abort(reason);
    t.equal(await dial.catch((error: unknown) => error), reason);
    await nextTick();
    t.equal(openSockets(), before);
  });

  t.test('before the start cancels the dial', async (t) => {
    const signal = AbortSignal.abort();
    await t.rejects(dialTarget({ host: '127.0.0.1', port: 80 }, { timeoutMs, signal }), {
      code: 'cancelled',
    });
  });

  t.test('after the connect does not close the socket', async (t) => {
    const server = await listen(t, '127.0.0.1');
    const abort = new AbortController();
    const target = { host: '127.0.0.1', port: portOf(server) };
    const socket = await dialTarget(target, { timeoutMs, signal: abort.signal });
    abort.abort();
    await nextTick();
    t.notOk(socket.destroyed);
    socket.destroy();
  });
});
