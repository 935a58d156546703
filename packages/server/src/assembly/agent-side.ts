import { Readiness } from '../admin/readiness.ts';
import { RecentRefusals } from '../admin/recent-refusals.ts';
import { AgentConnections } from '../agents/agent-connections.ts';
import { AgentListener } from '../agents/agent-listener.ts';
import { createAuthorizer } from '../agents/auth/agent-authorization.ts';
import { createTokenAuthenticator } from '../agents/auth/token-authenticator.ts';
import { Backends } from '../agents/backends.ts';
import { PeerList } from '../cluster/peer-list.ts';
import { createServerLeases } from '../cluster/server-leases.ts';
import { Router } from '../routing/router.ts';
import type { ServerContext } from './server-context.ts';

/**
 * The part of a server that agents connect to: their port, their connections, and what they learn about other
 * servers. Nothing listens yet.
 * @throws UsageError if the Kubernetes API cannot be used as the options say
 */
export async function createAgentSide(context: ServerContext) {
  const { options, logger, files, metrics, memory, handshakes, worker } = context;
  const { proxyStrategies } = options;
  if (proxyStrategies.includes('default')) {
    logger.info('proxy strategy default: any agent may be given any target, whatever it claims');
  }
  const tokens = await createTokenAuthenticator(options, logger, (outcome) =>
    metrics.onTokenReview(outcome),
  );

  const backends: Backends = new Backends((isAdded) => {
    metrics.setBackends(backends.counts, proxyStrategies);
    if (isAdded) readiness.onAgent();
  });
  const router = new Router(backends, proxyStrategies);
  const readiness = new Readiness({
    settleMs: options.agentsSettleTime,
    settleTimeoutMs: options.agentsSettleTimeout,
    hasBackend: () => router.isReady,
  });
  metrics.setBackends(backends.counts, proxyStrategies);

  const refusals = new RecentRefusals();
  const connections = new AgentConnections({
    options,
    logger,
    memory,
    backends,
    authorize: createAuthorizer(options.agentAuthorization, logger, metrics, refusals),
    callObserver: metrics.grpcCalls('Connect'),
    whyDenied: files.whyDenied,
  });
  const listener = new AgentListener({
    host: options.agentBindAddress,
    port: options.agentPort,
    fd: worker?.sockets.agent,
    tls: files.agentTls.context,
    tokens,
    handshakeTimeoutMs: options.handshakeTimeout,
    headTimeoutMs: options.headTimeout,
    maxHeadBytes: options.maxHeadBytes,
    handshakes,
    memory,
    logger,
    whyDenied: files.whyDenied,
    onTunnel: (transport, peer, identify) => connections.addTunnel(transport, peer, identify),
    onAgentCall: (stream, headers, peer) => connections.addCall(stream, headers, peer),
    onRefused: (reason) => metrics.onAgentRefused(reason),
    onPeerRefused: (peer, reason) => refusals.add(peer, reason),
    onHandshake: (isResumed) => metrics.onAgentHandshake(isResumed),
  });

  const peers = new PeerList({
    own: [options.advertiseAgentAddress ?? [], worker?.workerAddresses ?? []].flat(),
    path: options.peersFile,
    logger,
    onChange: (list) => connections.setPeers(list),
  });
  const leases = options.enableLeaseController
    ? await createServerLeases(options, logger, metrics.registry, (count, agentAddresses) => {
        connections.setServerCount(count);
        peers.setLeased(agentAddresses);
      })
    : undefined;
  return { tokens, backends, router, readiness, connections, refusals, listener, peers, leases };
}

export type AgentSide = Awaited<ReturnType<typeof createAgentSide>>;
