import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Server } from 'node:net';
import { KubeletRoutes, type KubeletStats } from './kubelet-routes.ts';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';

/** An HTTP or HTTPS target with the routes of `KubeletRoutes`. */
type HttpTarget = Endpoint & { readonly stats: Readonly<KubeletStats> };

/**
 * Starts an HTTPS target that answers like a kubelet. It refuses clients without a certificate of
 * `tls.ca`.
 * @param options.tls PEM texts: the CA of client certificates, and the target's own certificate
 */
export async function startKubeletTarget(
  options: EndpointOptions & {
    readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
  },
): Promise<HttpTarget> {
  const server = createHttpsServer({
    ...options.tls,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
  });
  return startHttpTarget(server, options);
}

/** Starts the same target over plain HTTP, like a pod. */
export async function startPodTarget(options: EndpointOptions = {}): Promise<HttpTarget> {
  return startHttpTarget(createHttpServer(), options);
}

async function startHttpTarget(server: Server, options: EndpointOptions): Promise<HttpTarget> {
  // Imported here, because most test files do not need it.
  const { WebSocketServer } = await import('ws');
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const routes = new KubeletRoutes(webSockets);
  server.on('request', routes.onRequest);
  server.on('upgrade', routes.onUpgrade);
  return Object.assign(await Listener.start(server, options), { stats: routes.stats });
}
