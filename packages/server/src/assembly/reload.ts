import { FileReloader } from '@fairlead/runtime/process';
import { CertificateExpiry } from '@fairlead/runtime/tls';
import type { AgentSide } from './agent-side.ts';
import type { FrontEndSide } from './front-end-side.ts';
import type { ServerContext } from './server-context.ts';

/** Rereads the server's files when they change, and warns before certificates expire. */
export function createReload(context: ServerContext, agents: AgentSide, frontEnd: FrontEndSide) {
  const { options, logger, metrics, files } = context;
  const shared = { logger, registry: metrics.registry, metricPrefix: 'fairlead_server_' };
  const expiry = new CertificateExpiry(shared);
  expiry.update([...files.agentTls.expiries, ...(files.frontEndTls?.expiries ?? [])]);
  const reloader = new FileReloader({ ...shared, intervalMs: options.reloadInterval });
  const watch = (name: string, paths: readonly (string | undefined)[], reload: () => void) => {
    const given = paths.filter((path) => path !== undefined);
    if (given.length > 0) reloader.add({ name, paths: given, reload });
  };

  /** Starts to watch the files. A reload that cannot read its files throws before it changes anything. */
  const start = () => {
    const { clusterCert, clusterKey, clusterCaCert, tlsTicketKeyFile } = options;
    const agentPortFiles = [clusterCert, clusterKey, clusterCaCert, tlsTicketKeyFile];
    watch('agent-port certificates', agentPortFiles, () => {
      const tls = files.readAgentTls();
      agents.listener.setSecureContext(tls.context);
      files.agentTls = tls;
      expiry.update(tls.expiries);
    });
    const { serverCert, serverKey, serverCaCert } = options;
    watch('front-end certificates', [serverCert, serverKey, serverCaCert], () => {
      const tls = files.readFrontEndTls();
      if (!tls) return;
      frontEnd.tlsListener?.setSecureContext(tls.context);
      files.frontEndTls = tls;
      expiry.update(tls.expiries);
    });
    watch('front-end policy', [options.frontendPolicy], () => files.reloadPolicy());
    watch('peers', [options.peersFile], () => agents.peers.read());
    watch('agent deny list', [options.agentDenylist], () => {
      files.reloadDenyList();
      agents.connections.closeDenied();
    });
  };

  return {
    start,
    /** Looks for changes now, and reopens the access log. */
    check: () => {
      frontEnd.accessLog?.reopen();
      reloader.check();
    },
    close: () => {
      reloader.close();
      expiry.close();
    },
  };
}
