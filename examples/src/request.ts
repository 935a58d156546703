import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { FrontEndAddress } from '@fairlead/testkit';
import { connectToTarget, type Target, type TargetConnection } from './target-connection.ts';

/** The result of one request through the tunnel. Times are in milliseconds. */
export interface RequestReport extends Omit<TargetConnection, 'socket'> {
  readonly status: number;
  readonly body: string;
  readonly answerMs: number;
}

/**
 * Connects to the target through the front end and sends GET.
 *
 * @throws as `connectToTarget` does, or if the response ends early
 */
export async function requestThrough(
  via: FrontEndAddress,
  target: Target,
  path: string,
): Promise<RequestReport> {
  const { socket, ...connection } = await connectToTarget(via, target);
  const startedAt = performance.now();
  const get = request({
    path,
    headers: { host: target.host, connection: 'close' },
    createConnection: () => socket,
  });
  get.end();
  const [response] = (await once(get, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += chunk;
  return {
    ...connection,
    status: response.statusCode ?? 0,
    body: body.trim(),
    answerMs: performance.now() - startedAt,
  };
}
