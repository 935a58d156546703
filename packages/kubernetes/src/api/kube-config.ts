import { dirname, resolve } from 'node:path';
import { formatHostPort } from '@fairlead/runtime/net';
import { readCheckedFile, readNamedFile } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import { z } from 'zod';

const flag = '--kubeconfig';

/** Where Kubernetes mounts a pod's credentials for the API. */
const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

const base64 = z
  .string()
  .transform((text) => Buffer.from(text, 'base64').toString('utf8'))
  .optional();

const clusterSchema = z.object({
  server: z
    .string('is missing: give the URL of the API')
    .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'is not an https:// URL'),
  'certificate-authority': z.string().optional(),
  'certificate-authority-data': base64,
  'tls-server-name': z.string().optional(),
  'insecure-skip-tls-verify': z.boolean().default(false),
  'proxy-url': z.undefined('is not supported; use an API server that needs no proxy').optional(),
});

const userSchema = z.object({
  'client-certificate': z.string().optional(),
  'client-certificate-data': base64,
  'client-key': z.string().optional(),
  'client-key-data': base64,
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  exec: z
    .object({
      apiVersion: z.string().optional(),
      command: z.string('is missing'),
      args: z.array(z.string()).nullish(),
      env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
    })
    .optional(),
  'auth-provider': z
    .object({
      name: z.literal('oidc', 'is not supported; use oidc, or an exec plugin'),
      config: z.record(z.string(), z.string()),
    })
    .optional(),
});

const kubeConfigSchema = z.object({
  'current-context': z.string('is missing: name one of the contexts').min(1, 'is empty'),
  contexts: z.array(
    z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) }),
  ),
  clusters: z.array(z.object({ name: z.string(), cluster: clusterSchema })),
  users: z.array(z.object({ name: z.string(), user: userSchema })),
});

/** A program or an OpenID provider that supplies credentials. */
export interface CredentialPlugin {
  readonly userName: string;
  readonly exec?: NonNullable<z.infer<typeof userSchema>['exec']>;
  readonly oidc?: NonNullable<z.infer<typeof userSchema>['auth-provider']>;
}

/** How to reach the Kubernetes API, with the contents of all files. */
export interface ClusterSettings {
  /** URL of the API, without a trailing slash. */
  readonly server: string;
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly servername?: string;
    readonly rejectUnauthorized?: false;
  };
  readonly authorization?: string;
  readonly plugin?: CredentialPlugin;
}

/** Where to read the settings; the defaults are those of a pod. */
export interface ClusterSource {
  /** `--kubeconfig`; without it the process must run in a pod of the cluster. */
  readonly kubeconfig?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
  readonly serviceAccountDirectory?: string;
}

/**
 * Reads how to reach the API.
 * @throws UsageError with the flag, the file, the position and the cure
 */
export function readClusterSettings(source: ClusterSource): ClusterSettings {
  return source.kubeconfig === undefined
    ? readInCluster(source)
    : readKubeConfig(source.kubeconfig);
}

function readInCluster({ env = process.env, ...source }: ClusterSource): ClusterSettings {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (!host || !port) {
    throw new UsageError(
      `${flag} is missing, and this process does not run in a pod (KUBERNETES_SERVICE_HOST is not set)`,
    );
  }
  const directory = source.serviceAccountDirectory ?? serviceAccountDirectory;
  const origin = 'service account of this pod';
  return {
    server: `https://${formatHostPort({ host, port: Number(port) })}`,
    tls: { ca: readNamedFile(origin, `${directory}/ca.crt`) },
    authorization: `Bearer ${readNamedFile(origin, `${directory}/token`).trim()}`,
  };
}

function readKubeConfig(path: string): ClusterSettings {
  const config = readCheckedFile({ flag, path }, kubeConfigSchema);
  const name = config['current-context'];
  const context = config.contexts.find((each) => each.name === name)?.context;
  const cluster = config.clusters.find((each) => each.name === context?.cluster)?.cluster;
  const user = config.users.find((each) => each.name === context?.user)?.user;
  if (!context || !cluster || !user) {
    const missing = !context
      ? `context "${name}"`
      : !cluster
        ? `cluster "${context.cluster}"`
        : `user "${context.user}"`;
    throw new UsageError(`${flag}: ${path}: ${missing} not found; current-context refers to it`);
  }
  const fileOf = (named: string | undefined, data: string | undefined) =>
    data ?? (named === undefined ? undefined : readNamedFile(flag, resolve(dirname(path), named)));
  const ca = fileOf(cluster['certificate-authority'], cluster['certificate-authority-data']);
  const cert = fileOf(user['client-certificate'], user['client-certificate-data']);
  const key = fileOf(user['client-key'], user['client-key-data']);
  const token = fileOf(user.tokenFile, user.tokenFile === undefined ? user.token : undefined);
  const { username, password, exec, 'auth-provider': oidc } = user;
  const basic = username && Buffer.from(`${username}:${password ?? ''}`).toString('base64');
  const authorization = token ? `Bearer ${token.trim()}` : basic ? `Basic ${basic}` : undefined;
  const serverName = cluster['tls-server-name'];
  return {
    server: cluster.server.replace(/\/$/, ''),
    tls: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(serverName && { servername: serverName }),
      ...(cluster['insecure-skip-tls-verify'] && { rejectUnauthorized: false as const }),
    },
    ...(authorization && { authorization }),
    ...((exec || oidc) && {
      plugin: { userName: context.user, ...(exec && { exec }), ...(oidc && { oidc }) },
    }),
  };
}
