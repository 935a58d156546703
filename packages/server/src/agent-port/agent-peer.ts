import type { AgentCertificate } from './agent-certificate.ts';

/** Who is behind a connection on the agent port, as far as its certificate says. */
export interface AgentPeer {
  /** For logs: `host:port`. */
  readonly address: string;
  /** Of the certificate's subject. */
  readonly commonName: string | undefined;
  readonly certificate: AgentCertificate | undefined;
}
