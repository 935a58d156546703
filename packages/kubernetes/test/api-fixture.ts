import { ApiClient, LeaseApi } from '@fairlead/kubernetes';
import { createLogger, type Logger } from '@fairlead/runtime/process';
import { KubernetesApi } from '@fairlead/testkit';
import type { Test } from 'tap';

export const namespace = 'kube-system';
export const labels = { 'k8s-app': 'konnectivity-server' };

export interface Fixture {
  readonly api: KubernetesApi;
  readonly client: ApiClient;
  readonly leases: LeaseApi;
  readonly logger: Logger;
  /** Messages of the log so far. */
  readonly logged: string[];
}

/** Starts an API and a client, and closes both after the test. */
export async function start(t: Test): Promise<Fixture> {
  const api = await KubernetesApi.start();
  const logged: string[] = [];
  const logger = createLogger('info', {
    write: (text) => {
      logged.push((JSON.parse(text) as { msg: string }).msg);
    },
  });
  const client = new ApiClient({
    kubeconfig: await api.kubeconfig(),
    userAgent: 'test',
    onStale: ({ message }) => logger.warn(message),
  });
  t.teardown(async () => {
    client.close();
    await api.close();
  });
  return { api, client, leases: new LeaseApi({ api: client, namespace }), logger, logged };
}

/** The Lease of a server with this name. */
export function leaseOf(name: string, durationSeconds = 30, renewedAgoMs = 0): object {
  const renewTime = new Date(Date.now() - renewedAgoMs).toISOString().replace('Z', '000Z');
  return {
    metadata: { name, labels },
    spec: { holderIdentity: name, leaseDurationSeconds: durationSeconds, renewTime },
  };
}
