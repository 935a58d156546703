/**
 * Arguments in the manifests that Konnectivity and Kubernetes publish work unchanged. A manifest has to change
 * only its image, command and memory limit.
 */
import t from 'tap';
import { readArgs } from './read-args.ts';

const tokens = [
  '--agent-namespace=kube-system',
  '--agent-service-account=konnectivity-agent',
  '--authentication-audience=system:konnectivity-server',
];
const tokenFile = '--service-account-token-path=/var/run/secrets/tokens/konnectivity-agent-token';
const clusterCa = '--ca-cert=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt';
const socket = '--uds-name=/etc/kubernetes/konnectivity-server/konnectivity-server.socket';
const apiServerPair = [
  '--cluster-cert=/etc/kubernetes/pki/apiserver.crt',
  '--cluster-key=/etc/kubernetes/pki/apiserver.key',
];

/** From Kubernetes' documentation: konnectivity-server.yaml and konnectivity-agent.yaml. */
const documented = {
  server: [
    '--logtostderr=true',
    socket,
    ...apiServerPair,
    '--mode=grpc',
    '--server-port=0',
    '--agent-port=8132',
    '--admin-port=8133',
    '--health-port=8134',
    '--kubeconfig=/etc/kubernetes/konnectivity-server.conf',
    ...tokens,
  ],
  agent: [
    '--logtostderr=true',
    clusterCa,
    '--proxy-server-host=192.0.2.7',
    '--proxy-server-port=8132',
    '--admin-server-port=8133',
    '--health-server-port=8134',
    tokenFile,
  ],
};

/** From Konnectivity's repository: examples/kind and examples/kind-multinode. */
const kind = {
  server: [
    '--log-file=/var/log/konnectivity-server.log',
    '--logtostderr=true',
    '--log-file-max-size=0',
    socket,
    '--delete-existing-uds-file',
    ...apiServerPair,
    '--server-port=0',
    '--agent-port=8091',
    '--health-port=8092',
    '--admin-port=8093',
    '--keepalive-time=1h',
    '--mode=grpc',
    '--kubeconfig=/etc/kubernetes/admin.conf',
    ...tokens,
    '--enable-lease-controller',
  ],
  agent: [
    '--logtostderr=true',
    clusterCa,
    '--proxy-server-host=konnectivity-server.kube-system.svc.cluster.local',
    '--proxy-server-port=8091',
    '--sync-interval=5s',
    '--sync-interval-cap=30s',
    '--sync-forever',
    '--probe-interval=5s',
    tokenFile,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the manifest does not expand it either
    '--agent-identifiers=ipv4=${HOST_IP}',
    '--count-server-leases',
  ],
};

/** From the same repository: examples/kubernetes, with HTTP CONNECT and a log file. */
const httpConnect = {
  server: [
    '--log-file=/var/log/konnectivity-server.log',
    '--logtostderr=false',
    '--log-file-max-size=0',
    socket,
    ...apiServerPair,
    '--server-port=0',
    '--agent-port=8091',
    '--health-port=8092',
    '--admin-port=8093',
    '--keepalive-time=1h',
    '--mode=http-connect',
    '--kubeconfig=/etc/srv/kubernetes/konnectivity-server/kubeconfig',
    ...tokens,
  ],
  agent: [
    '--logtostderr=true',
    clusterCa,
    '--proxy-server-host=192.0.2.7',
    '--proxy-server-port=8091',
    tokenFile,
  ],
};

for (const [name, manifests] of Object.entries({
  "Kubernetes' documentation": documented,
  'examples/kind': kind,
  'examples/kubernetes': httpConnect,
})) {
  for (const program of ['server', 'agent'] as const) {
    t.test(`accepts the ${program}'s arguments in ${name}`, async (t) => {
      const { sources } = readArgs(program, manifests[program]);
      const flags = manifests[program].map((arg) => arg.slice(2).split('=')[0] ?? '');
      for (const flag of flags) {
        const isIgnored = !sources.has(flag);
        t.ok(isIgnored || sources.get(flag) === 'flag', `--${flag} is read`);
      }
      t.equal(sources.get('agent-port') ?? sources.get('proxy-server-port'), 'flag');
    });
  }
}

t.test('refuses a flag that Konnectivity does not have', async (t) => {
  t.throws(() => readArgs('server', [...documented.server, '--uds-nam=/x']), /--uds-nam/);
  t.throws(() => readArgs('agent', [...documented.agent, '--proxy-server-prt=1']), /prt/);
});
