import type { AddressInfo } from 'node:net';
import { createFileLog } from '@fairlead/runtime/process';
import { FrontEnd } from '../front-end/front-end.ts';
import type { TlsListener } from '../listeners/tls-listener.ts';
import { frontEndPort } from '../options/front-end-options.ts';
import { DialHistory } from '../routing/dial-history.ts';
import { Dialer } from '../routing/dialer.ts';
import type { Router } from '../routing/router.ts';
import type { ServerContext } from './server-context.ts';

/** Idle time after which TCP probes a front-end client. */
const keepAliveMs = 30_000;

/** The part of a server that clients connect to, and the dials for them. */
export class FrontEndSide {
  readonly frontEnd: FrontEnd;
  readonly history = new DialHistory();
  readonly accessLog: ReturnType<typeof createFileLog> | undefined;
  /** Set once the TCP port is open. */
  tlsListener: TlsListener | undefined;
  readonly #context: ServerContext;

  /** @throws UsageError for an access log that cannot be written */
  constructor(context: ServerContext, router: Router) {
    this.#context = context;
    const { options, logger, files, metrics, memory } = context;
    const dialer = new Dialer({
      router,
      history: this.history,
      policy: () => files.policy,
      timeoutMs: options.backendDialTimeout,
      maxStreamsPerTunnel: options.maxStreamsPerTunnel,
      tunnelBytesPerSecond: options.maxTunnelBandwidth,
      observer: metrics,
    });
    this.accessLog =
      options.accessLog === undefined
        ? undefined
        : createFileLog('--access-log', options.accessLog);
    this.frontEnd = new FrontEnd({
      dial: (target, caller, signal) => dialer.dial(target, caller, signal),
      logger,
      observer: metrics,
      mode: options.mode,
      limits: options,
      headTimeoutMs: options.headTimeout,
      maxHeadBytes: options.maxHeadBytes,
      memory,
      ...(this.accessLog && { accessLog: this.accessLog.logger }),
    });
  }

  /** Opens the Unix domain socket and the TCP port. @throws UsageError, StartupError */
  async listen(): Promise<AddressInfo | undefined> {
    const { options, files, handshakes, worker } = this.#context;
    if (options.udsName !== undefined) {
      await this.frontEnd.listenUds({
        path: options.udsName,
        takeover: options.udsTakeover,
        deleteExisting: options.deleteExistingUdsFile,
        shared: worker?.sockets.uds,
      });
    }
    const port = frontEndPort(options);
    if (port === undefined || !files.frontEndTls) return undefined;
    this.tlsListener = await this.frontEnd.listenTls({
      port,
      host: options.serverBindAddress,
      fd: worker?.sockets.frontEnd,
      tls: files.frontEndTls.context,
      handshakeTimeoutMs: options.handshakeTimeout,
      keepAliveMs,
      handshakes,
    });
    return this.tlsListener.address;
  }
}
