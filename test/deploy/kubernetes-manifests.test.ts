/** Manifests in deploy/kubernetes: valid for Kubernetes and for Fairlead's programs, and consistent. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseByteSize } from '@fairlead/runtime/options';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { findMistakes } from './check-manifests.ts';
import {
  build,
  type Container,
  findKustomize,
  kubernetes,
  kustomizations,
  type Manifest,
  type PodSpec,
  podOf,
  readBase,
  readManifests,
} from './manifests.ts';
import { readArgs } from './read-args.ts';

/** Example values of variables from the downward API and the ConfigMap. */
const exampleValues: Readonly<Record<string, string>> = {
  NODE_NAME: 'node-1',
  POD_NAME: 'fairlead-agent-7d9f',
  HOST_IP: '192.0.2.7',
  PROXY_SERVER_HOST: 'control-plane.example',
};

const staticPod = readManifests('static-pod/fairlead-server.yaml');
const kustomize = await findKustomize();
const skipBuilds = kustomize
  ? false
  : 'kubectl and kustomize are missing on this machine: no overlay was tested';
/** The manifests by their source. */
const manifestSets = new Map<string, readonly Manifest[]>([
  ['base, file by file', readBase()],
  ['static-pod', staticPod],
  ['issuer, file by file', readBase('issuer')],
]);
if (kustomize) {
  manifestSets.set('issuer', await build(kustomize, 'issuer'));
  for (const directory of kustomizations)
    manifestSets.set(directory, await build(kustomize, directory));
}

t.test('kustomize builds every overlay', { skip: skipBuilds }, async (t) => {
  for (const directory of kustomizations) {
    const names = manifestSets
      .get(directory)
      ?.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    t.ok(names?.includes('DaemonSet fairlead-server'), `${directory}: ${names?.join(', ')}`);
  }
  const kinds = (directory: string) => manifestSets.get(directory)?.map(({ kind }) => kind) ?? [];
  t.notMatch(kinds('overlays/certificates').join(), /Role/, 'certificates need no role');
  t.match(kinds('overlays/pod-network').join(), /NetworkPolicy/);
  const peers = JSON.stringify(manifestSets.get('overlays/direct-peers'));
  t.match(peers, '--advertise-agent-address=$(HOST_IP):8091');
});

const manifests = [...manifestSets.values()].flat();
const broken = breakManifest(
  manifestSets.get('base, file by file')!.find(({ kind }) => kind === 'DaemonSet')!,
);
const mistakes = findMistakes([...manifests, ...broken]);

t.test('every field exists in Kubernetes', async (t) => {
  t.ok(manifests.length >= 10, `${manifests.length} manifests`);
  t.same(mistakes.slice(0, manifests.length).flat(), []);
});

t.test('the check finds a wrong field', async (t) => {
  const found = mistakes.slice(manifests.length);
  const wrong = ['livenesProbe', 'string', 'selektor', 'path', 'readOnlyRootFileSystem'];
  t.equal(found.length, wrong.length);
  for (const [index, name] of wrong.entries()) {
    const [first, ...others] = found[index]!;
    t.match(first, new RegExp(`'"?${name}"?'`), name);
    t.same(others, []);
  }
});

/** Copies of the manifest, each with one wrong field. */
function breakManifest(server: Manifest): Manifest[] {
  const text = JSON.stringify(server);
  return [
    ['livenessProbe', 'livenesProbe'],
    ['"hostNetwork":true', '"hostNetwork":"yes"'],
    ['"selector":', '"selektor":'],
    ['"fieldPath":', '"path":'],
    ['"readOnlyRootFilesystem":', '"readOnlyRootFileSystem":'],
  ].map(([right = '', wrong = '']) => JSON.parse(text.replace(right, wrong)) as Manifest);
}

for (const [name, set] of manifestSets) {
  for (const manifest of set) {
    const pod = podOf(manifest);
    if (!pod) continue;
    t.test(`${name}: the pod of ${manifest.kind} ${manifest.metadata.name} is valid`, async (t) => {
      t.equal(pod.enableServiceLinks, false, 'variables of Services cannot look like options');
      for (const container of pod.containers) checkContainer(t, container, pod);
    });
  }
}

function checkContainer(t: Test, container: Container, pod: PodSpec): void {
  const { name, args, env = [], resources } = container;
  t.match(
    container.image,
    new RegExp(`^${name}\\b(?!-)`),
    'image and container have the same name',
  );
  t.match(container.securityContext, {
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  });
  const declared = env.map((variable) => variable.name);
  const argv = args.map((arg) =>
    arg.replaceAll(/\$\((\w+)\)/g, (_, variable: string) => {
      t.ok(declared.includes(variable), `$(${variable}) is declared`);
      return exampleValues[variable] ?? '';
    }),
  );
  t.notMatch(argv.join(' '), /\$[({]/, 'all variables are expanded');

  const program = name === 'fairlead' ? 'issuer' : name === 'fairlead-server' ? 'server' : 'agent';
  if (program === 'issuer') t.equal(argv.shift(), 'issuer', 'runs the subcommand issuer');
  const { options, warnings } = readArgs(program, argv);
  t.same(warnings, [], 'the program accepts its arguments without a warning');
  const drainMs =
    'requestTimeout' in options ? options.requestTimeout : options.gracefulShutdownTimeout;
  t.ok(
    pod.terminationGracePeriodSeconds * 1000 > drainMs,
    'the grace period is longer than the drain',
  );
  for (const probe of [container.livenessProbe, container.readinessProbe]) {
    t.equal(probe.httpGet.port, 'health');
  }
  t.equal(container.livenessProbe.httpGet.path, '/healthz');
  t.equal(container.readinessProbe.httpGet.path, '/readyz');
  checkFiles(t, argv, container, pod);
  if ('requestTimeout' in options) {
    t.ok(pod.securityContext?.runAsNonRoot, 'does not run as root');
    t.equal(portOf(container, 'enrolment'), options.enrollmentPort);
    t.equal(portOf(container, 'health'), options.healthPort);
    return;
  }
  const limit = parseByteSize((resources.limits.memory ?? '').replace('i', 'iB')) ?? 0;
  t.ok(
    options.maxProcessWindow <= limit / 2,
    '--max-process-window is at most half of the memory limit',
  );
  if ('agentAuthorization' in options) {
    t.equal(options.agentAuthorization, 'enforce');
    const { readinessProbe } = container;
    t.ok(
      readinessProbe.periodSeconds * 1000 < options.shutdownDelay,
      'the readiness probe notices a drain within --shutdown-delay',
    );
    t.equal(portOf(container, 'agents'), options.agentPort);
    t.equal(portOf(container, 'health'), options.healthPort);
  } else {
    t.equal(portOf(container, 'health'), options.healthServerPort);
  }
}

function portOf({ ports }: Container, portName: string): number | undefined {
  return ports.find(({ name }) => name === portName)?.containerPort;
}

/** Checks that every file in the arguments is in a mounted volume, and that every volume is mounted. */
function checkFiles(t: Test, argv: readonly string[], { volumeMounts }: Container, pod: PodSpec) {
  const mounted = volumeMounts.map(({ mountPath }) => mountPath);
  for (const [, flag, file = ''] of argv.join('\n').matchAll(/^--(.+?)=(\/.+)$/gm)) {
    t.ok(
      mounted.includes(dirname(file)) || mounted.includes(file),
      `--${flag}: ${file} is mounted`,
    );
  }
  t.same(
    volumeMounts.map(({ name }) => name).sort(),
    pod.volumes.map(({ name }) => name).sort(),
    'mounts and volumes are the same',
  );
}

t.test('server and agent agree on audience and service account', async (t) => {
  const find = (kind: string, name: string) =>
    [...readBase(), ...staticPod].find(
      (manifest) => manifest.kind === kind && manifest.metadata.name === name,
    );
  const agent = podOf(find('DaemonSet', 'fairlead-agent')!)!;
  const audience = agent.volumes
    .flatMap(({ projected }) => projected?.sources ?? [])
    .find(({ serviceAccountToken }) => serviceAccountToken)?.serviceAccountToken?.audience;
  for (const server of [find('DaemonSet', 'fairlead-server')!, find('Pod', 'fairlead-server')!]) {
    const args = podOf(server)!.containers[0]!.args;
    t.ok(args.includes(`--authentication-audience=${audience}`), `${server.kind}: audience`);
    t.ok(args.includes(`--agent-service-account=${agent.serviceAccountName}`), 'service account');
  }
});

t.test('the issuer has rights on Secrets in the token namespace only', async (t) => {
  const ofIssuer = readBase('issuer');
  const one = (kind: string) => ofIssuer.filter((manifest) => manifest.kind === kind);
  const [{ args } = { args: [] }] = podOf(one('Deployment')[0]!)!.containers;
  const namespace = args.find((arg) => arg.startsWith('--token-namespace='))?.split('=')[1];
  const roles = one('Role');
  t.same(
    roles.map(({ metadata, rules }) => [metadata.namespace, rules]),
    [
      [
        namespace,
        [
          {
            apiGroups: [''],
            resources: ['secrets'],
            verbs: ['get', 'list', 'create', 'update', 'delete'],
          },
        ],
      ],
    ],
  );
  const [binding] = one('RoleBinding');
  const [account] = one('ServiceAccount');
  t.equal(binding?.metadata.namespace, namespace);
  t.match(binding?.subjects, [account?.metadata], "bound to the pods' service account");
  t.not(account?.metadata.namespace, namespace, 'the signing key is in another namespace');
  t.same(one('ClusterRole').concat(one('ClusterRoleBinding')), []);
  const namespaces = one('Namespace').map(({ metadata }) => metadata.name);
  t.same(namespaces.sort(), [account?.metadata.namespace, namespace].sort());
});

interface EgressSelection {
  readonly name: string;
  readonly connection: {
    readonly proxyProtocol: string;
    readonly transport: {
      readonly uds?: { readonly udsName: string };
      readonly tcp?: { readonly url: string; readonly tlsConfig: Readonly<Record<string, string>> };
    };
  };
}

t.test('egress selector files are valid for kube-apiserver', async (t) => {
  for (const [file, protocol] of [
    ['grpc-uds', 'GRPC'],
    ['http-connect-uds', 'HTTPConnect'],
    ['http-connect-tcp', 'HTTPConnect'],
  ] as const) {
    const { egressSelections, ...head } = parse(
      readFileSync(join(kubernetes, 'egress-selector', `${file}.yaml`), 'utf8'),
    ) as { egressSelections: EgressSelection[] };
    t.same(head, {
      apiVersion: 'apiserver.k8s.io/v1beta1',
      kind: 'EgressSelectorConfiguration',
    });
    t.equal(egressSelections.length, 1, file);
    const { name, connection } = egressSelections[0]!;
    t.same(Object.keys(connection), ['proxyProtocol', 'transport']);
    t.equal(name, 'cluster');
    t.equal(connection.proxyProtocol, protocol);
    const { uds, tcp } = connection.transport;
    t.same(Object.keys(connection.transport), [tcp ? 'tcp' : 'uds'], 'one transport');
    if (tcp) {
      t.match(tcp.url, /^https:\/\/[^/]+:\d+$/);
      t.same(Object.keys(tcp.tlsConfig).sort(), ['caBundle', 'clientCert', 'clientKey']);
    } else {
      for (const set of manifestSets.values()) {
        const servers = set.filter(({ metadata }) => metadata.name === 'fairlead-server');
        for (const pod of servers.map(podOf)) {
          if (pod) t.ok(pod.containers[0]?.args.includes(`--uds-name=${uds?.udsName}`), file);
        }
      }
    }
  }
});
