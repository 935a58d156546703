import { requestThrough } from '../../request.ts';
import type { NodeTargets } from '../network.ts';
import type { ServerPool } from '../server-pool.ts';
import { check } from './check.ts';

/** Requests a PodList from the node's kubelet, and `ok` from its pod. */
export async function get(servers: ServerPool, node: NodeTargets): Promise<void> {
  for (const { target, path, body } of [
    { target: node.kubelet, path: '/pods', body: /"kind":"PodList"/ },
    { target: node.pod, path: '/healthz', body: /^ok$/ },
  ]) {
    const { server, value } = await servers.through((via) => requestThrough(via, target, path));
    console.log(
      `get   ${target.host}:${target.port}${path} by ${server}: ${value.status}, ` +
        `${value.body.length} bytes; CONNECT ${value.connectMs.toFixed(1)} ms, ` +
        `TLS ${value.handshakeMs.toFixed(1)} ms (${value.tlsProtocol}), answer ${value.answerMs.toFixed(1)} ms`,
    );
    check(value.status === 200 && body.test(value.body), `unexpected answer: ${value.body}`);
  }
}
