import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Server } from 'node:net';
import { KubeletRoutes, type KubeletStats } from './kubelet-routes.ts';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';

/** An HTTP or HTTPS target with the routes of `KubeletRoutes`. */
export interface HttpTarget extends Endpoint {
  readonly stats: Readonly<KubeletStats>;
}

export interface KubeletTargetOptions extends EndpointOptions {
  /** PEM: the CA that client certificates must come from, and the target's own certificate. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** Starts a kubelet-like HTTPS target. A client without a certificate of `tls.ca` is refused. */
export async function startKubeletTarget(options: KubeletTargetOptions): Promise<HttpTarget> {
  const server = createHttpsServer({
    ...options.tls,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
  });
  return startHttpTarget(server, options);
}

/** Starts a pod-like target: the same routes over plain HTTP. */
export async function startPodTarget(options: EndpointOptions = {}): Promise<HttpTarget> {
  return startHttpTarget(createHttpServer(), options);
}

async function startHttpTarget(server: Server, options: EndpointOptions): Promise<HttpTarget> {
  // Loaded here only: most test files have no such target.
  const { WebSocketServer } = await import('ws');
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const routes = new KubeletRoutes(webSockets);
  server.on('request', routes.onRequest);
  server.on('upgrade', routes.onUpgrade);
  const listener = await Listener.start(server, options);
  return {
    host: listener.host,
    port: listener.port,
    stats: routes.stats,
    close: () => listener.close(),
  };
}
