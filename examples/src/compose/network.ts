/** Reads the network of docker-compose.yml from the container's environment. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientTls, FrontEndAddress } from '@fairlead/testkit';
import type { Target } from '../target-connection.ts';

/** The ports of the targets, the same on each node. */
export const targetPorts = { kubelet: 10250, pod: 8080, source: 9001, sink: 9002, echo: 9003 };

/** A server's front end. */
export interface NamedServer {
  readonly name: string;
  readonly address: FrontEndAddress;
}

/** One node network. As in Kubernetes, the kubelet is reached by the node's name and the pod by its address. */
export interface NodeTargets {
  readonly name: string;
  readonly podAddress: string;
  readonly kubelet: Target;
  readonly pod: Target;
}

export interface Network {
  readonly servers: readonly NamedServer[];
  readonly nodes: readonly NodeTargets[];
}

/**
 * Reads SERVERS (`server-1:8090,server-2:8090`), NODES (`node-a=10.210.1.20,...`) and the certificates in
 * PKI_DIRECTORY.
 *
 * @throws Error that names the variable or file
 */
export function readNetwork(env: NodeJS.ProcessEnv = process.env): Network {
  const pki = required(env, 'PKI_DIRECTORY');
  const frontEnd = readTls(pki, 'frontend-ca.crt', 'client');
  const kubelet = readTls(pki, 'kubelet-ca.crt', 'kube-apiserver');
  return {
    servers: list(env, 'SERVERS').map((text) => {
      const [name = '', port] = text.split(':');
      const tls = { ...frontEnd, servername: name };
      return { name, address: { host: name, port: Number(port), tls } };
    }),
    nodes: list(env, 'NODES').map((text) => {
      const [name = '', podAddress = ''] = text.split('=');
      return {
        name,
        podAddress,
        kubelet: {
          host: name,
          port: targetPorts.kubelet,
          tls: { ...kubelet, servername: name },
        },
        pod: { host: podAddress, port: targetPorts.pod },
      };
    }),
  };
}

function readTls(directory: string, ca: string, name: string): ClientTls {
  const read = (file: string) => readFileSync(join(directory, file), 'utf8');
  return { ca: read(ca), cert: read(`${name}.crt`), key: read(`${name}.key`) };
}

function list(env: NodeJS.ProcessEnv, name: string): string[] {
  return required(env, name).split(',');
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (!value) throw new Error(`${name}: not set. Run this program with docker-compose.yml.`);
  return value;
}
