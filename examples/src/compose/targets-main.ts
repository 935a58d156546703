/**
 * Runs the targets of one node network until SIGTERM:
 *
 *     targets-main.js kubelet DIRECTORY   HTTPS on 10250, with kubelet.crt, kubelet.key, kubelet-ca.crt there
 *     targets-main.js pod                 HTTP on 8080; on 9001 to 9003 a source, a sink and an echo of bytes
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Endpoint,
  startEchoTarget,
  startKubeletTarget,
  startPodTarget,
  startRequestedSourceTarget,
  startSinkTarget,
} from '@fairlead/testkit';
import { aborted, stopSignal } from '../stop-signal.ts';
import { targetPorts } from './network.ts';

const host = '0.0.0.0';

async function start(kind: string | undefined, directory: string | undefined): Promise<Endpoint[]> {
  if (kind === 'kubelet' && directory) {
    const read = (file: string) => readFileSync(join(directory, file), 'utf8');
    const tls = { ca: read('kubelet-ca.crt'), cert: read('kubelet.crt'), key: read('kubelet.key') };
    return [await startKubeletTarget({ host, port: targetPorts.kubelet, tls })];
  }
  if (kind === 'pod') {
    return Promise.all([
      startPodTarget({ host, port: targetPorts.pod }),
      startRequestedSourceTarget({ host, port: targetPorts.source }),
      startSinkTarget({ host, port: targetPorts.sink }),
      startEchoTarget({ host, port: targetPorts.echo }),
    ]);
  }
  throw new Error('usage: targets-main.js kubelet DIRECTORY | pod');
}

const stopped = stopSignal();
const endpoints = await start(process.argv[2], process.argv[3]);
console.log(`listening on ${endpoints.map(({ port }) => port).join(', ')}`);
await aborted(stopped);
await Promise.all(endpoints.map((endpoint) => endpoint.close()));
