import { type ConnectReply, connectThrough, eventually, readText } from '@fairlead/testkit';
import { loopback, type TestServer } from '../support/fleet.ts';

/** Opens a stream to a target through the server's Unix domain socket. */
export function openStream(
  { uds }: Pick<TestServer, 'uds'>,
  target: { readonly host: string; readonly port: number },
): Promise<ConnectReply> {
  return connectThrough({ via: uds, target: `${target.host}:${target.port}` });
}

/**
 * Sends one request without retries: CONNECT, GET /healthz, read to the end.
 * @returns the problem, or undefined on success
 */
export async function request(
  server: Pick<TestServer, 'uds'>,
  target: { readonly host: string; readonly port: number },
): Promise<string | undefined> {
  try {
    const reply = await openStream(server, target);
    if (reply.status !== 200) {
      reply.socket.destroy();
      return `${reply.status} ${reply.body.trim()}`;
    }
    reply.socket.write('GET /healthz HTTP/1.1\r\nHost: target\r\nConnection: close\r\n\r\n');
    const text = await readText(reply.socket);
    reply.socket.end();
    return text.startsWith('HTTP/1.1 200') && text.endsWith('ok') ? undefined : `answer: ${text}`;
  } catch (error) {
    return String(error);
  }
}

/** Whether /readyz answers 200. */
export async function isReady({ healthPort }: Pick<TestServer, 'healthPort'>): Promise<boolean> {
  try {
    const { status } = await fetch(`http://${loopback}:${healthPort}/readyz`);
    return status === 200;
  } catch {
    return false;
  }
}

/** Waits until /readyz answers 200. */
export async function untilReady(server: Pick<TestServer, 'healthPort'>): Promise<void> {
  await eventually('the server is ready', () => isReady(server));
}
