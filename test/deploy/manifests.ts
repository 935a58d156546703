/** Reads the manifests in deploy/kubernetes, as files and as kustomize builds them. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { workspaceRoot } from '@fairlead/testkit';
import { parse, parseAllDocuments } from 'yaml';

const run = promisify(execFile);

export const kubernetes = join(workspaceRoot, 'deploy/kubernetes');
export const kustomizations = [
  'base',
  'overlays/certificates',
  'overlays/direct-peers',
  'overlays/pod-network',
] as const;

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env?: readonly { readonly name: string }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly securityContext: object;
  readonly resources: {
    readonly requests: Readonly<Record<string, string>>;
    readonly limits: Readonly<Record<string, string>>;
  };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Probe {
  readonly periodSeconds: number;
  readonly httpGet: { readonly path: string; readonly port: string };
}

export interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly enableServiceLinks: boolean;
  readonly serviceAccountName?: string;
  readonly containers: readonly Container[];
  readonly securityContext?: { readonly runAsNonRoot?: boolean };
  readonly volumes: readonly {
    readonly name: string;
    readonly hostPath?: { readonly path: string };
    readonly projected?: {
      readonly sources: readonly { readonly serviceAccountToken?: { readonly audience: string } }[];
    };
  }[];
}

/** A manifest of any kind, with the fields that tests read. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  /** In a Role. */
  readonly rules?: readonly {
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
  /** In a RoleBinding. */
  readonly subjects?: readonly { readonly name: string; readonly namespace?: string }[];
  readonly spec?: { readonly template?: { readonly spec: PodSpec } } & Partial<PodSpec>;
}

/** The documents of a file in deploy/kubernetes. YAML 1.1 reads modes such as 0400 as octal, as kubectl does. */
export function readManifests(file: string): Manifest[] {
  return parseManifests(readFileSync(join(kubernetes, file), 'utf8'));
}

export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text, { version: '1.1' }).map((document) => document.toJS() as Manifest);
}

/** The manifests in the files that a directory's kustomization.yaml lists. */
export function readBase(directory: 'base' | 'issuer' = 'base'): Manifest[] {
  const { resources } = parse(
    readFileSync(join(kubernetes, directory, 'kustomization.yaml'), 'utf8'),
  ) as {
    resources: string[];
  };
  return resources.flatMap((file) => readManifests(`${directory}/${file}`));
}

/** The command on this machine that builds kustomizations, or undefined. */
export async function findKustomize(): Promise<readonly string[] | undefined> {
  for (const command of [
    ['kubectl', 'kustomize'],
    ['kustomize', 'build'],
  ]) {
    const [file = '', ...args] = command;
    const isInstalled = await run(file, [...args, '--help']).then(
      () => true,
      () => false,
    );
    if (isInstalled) return command;
  }
  return undefined;
}

/** Builds a kustomization. Rejects with kustomize's error. */
export async function build(command: readonly string[], directory: string): Promise<Manifest[]> {
  const [file = '', ...args] = command;
  const { stdout } = await run(file, [...args, join(kubernetes, directory)]);
  return parseManifests(stdout);
}

/** The pod spec in a manifest, if it has one. */
export function podOf({ kind, spec }: Manifest): PodSpec | undefined {
  return kind === 'Pod' ? (spec as PodSpec) : spec?.template?.spec;
}
