import type { AddressInfo } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { createFileLog } from '@fairlead/runtime/process';
import { FrontEnd } from '../front-end/front-end.ts';
import type { TlsListener } from '../listeners/tls-listener.ts';
import type { UdsListener } from '../listeners/uds-listener.ts';
import { frontEndPort } from '../options/front-end-options.ts';
import { DialHistory } from '../routing/dial-history.ts';
import { Dialer } from '../routing/dialer.ts';
import type { Router } from '../routing/router.ts';
import type { ServerContext } from './server-context.ts';

/** Idle time after which TCP probes a front-end client. */
const keepAliveMs = 30_000;

/**
 * The part of a server that clients connect to, and the dials for them. Nothing listens yet.
 * @throws UsageError for an access log that cannot be written
 */
export function createFrontEndSide(
  { options, logger, files, metrics, memory, handshakes, worker }: ServerContext,
  router: Router,
) {
  const history = new DialHistory();
  const dialer = new Dialer({
    router,
    history,
    policy: () => files.policy,
    timeoutMs: options.backendDialTimeout,
    maxStreamsPerTunnel: options.maxStreamsPerTunnel,
    tunnelBytesPerSecond: options.maxTunnelBandwidth,
    observer: metrics,
  });
  const accessLog =
    options.accessLog === undefined ? undefined : createFileLog('--access-log', options.accessLog);
  const frontEnd = new FrontEnd({
    dial: (target, caller, handler) => dialer.dial(target, caller, handler),
    logger,
    observer: metrics,
    mode: options.mode,
    limits: options,
    headTimeoutMs: options.headTimeout,
    maxHeadBytes: options.maxHeadBytes,
    memory,
    ...(accessLog && { accessLog: accessLog.logger }),
  });
  let tlsListener: TlsListener | undefined;
  let udsListener: UdsListener | undefined;

  /** Opens the Unix domain socket and the TCP port. @throws UsageError, StartupError */
  const listen = async (): Promise<AddressInfo | undefined> => {
    if (options.udsName !== undefined) {
      udsListener = await frontEnd.listenUds({
        path: options.udsName,
        checkIntervalMs: options.reloadInterval,
        takeover: options.udsTakeover,
        deleteExisting: options.deleteExistingUdsFile,
        shared: worker?.sockets.uds,
      });
    }
    const port = frontEndPort(options);
    if (port === undefined || !files.frontEndTls) return undefined;
    tlsListener = await frontEnd.listenTls({
      port,
      host: options.serverBindAddress,
      fd: worker?.sockets.frontEnd,
      tls: files.frontEndTls.context,
      handshakeTimeoutMs: options.handshakeTimeout,
      keepAliveMs,
      handshakes,
    });
    return tlsListener.address;
  };

  return {
    frontEnd,
    history,
    accessLog,
    listen,
    /** Looks now whether clients still find the Unix domain socket. */
    check: () => void udsListener?.check(),
    /** Why clients cannot connect; undefined if they can. */
    fault: () => udsListener?.fault,
    setSecureContext: (tls: SecureContextOptions) => tlsListener?.setSecureContext(tls),
  };
}

export type FrontEndSide = ReturnType<typeof createFrontEndSide>;
