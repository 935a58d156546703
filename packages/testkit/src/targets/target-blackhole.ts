import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { testRunEnvironment } from '../processes/process-runner.ts';
import type { Endpoint, EndpointOptions } from './listener.ts';

const childPath = fileURLToPath(new URL('../blackhole-child.js', import.meta.url));
/** Linux lets one connection more than the backlog into the accept queue. */
const queueLength = 2;

/**
 * Starts a target that never answers a SYN, like a host behind a silent firewall. Linux only.
 *
 * A child process listens with a backlog of 1 and never accepts. Connections of this process fill its
 * queue. From then on, the kernel drops every SYN to that port.
 */
export async function startBlackholeTarget({
  host = '127.0.0.1',
  port: wantedPort = 0,
}: EndpointOptions = {}): Promise<Endpoint> {
  const child = spawn(process.execPath, [childPath, host, String(wantedPort)], {
    env: testRunEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const fillers: Socket[] = [];
  const close = async () => {
    for (const filler of fillers) filler.destroy();
    child.kill('SIGKILL');
    await exited;
  };
  try {
    const line = await Promise.race([
      once(child.stdout, 'data').then(([answer]) => String(answer).trim()),
      exited.then(() => 'no reason given'),
    ]);
    const port = Number(line);
    if (!port) throw new Error(`the blackhole could not listen on ${host}: ${line}`);
    // One after the other: a handshake that has not ended when the queue is full would be complete on
    // this side only.
    while (fillers.length < queueLength) {
      const filler = connect({ host, port });
      fillers.push(filler);
      await once(filler, 'connect');
      filler.on('error', () => {});
    }
    return { host, port, close };
  } catch (error) {
    await close();
    throw error;
  }
}
