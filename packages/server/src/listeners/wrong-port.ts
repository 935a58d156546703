/** What a peer at the wrong port is told, so that the operator sees which port it is. */

export const clientsPort =
  'this is the port for clients (--server-port); agents connect to --agent-port';

export const agentsPort =
  'this is the port for agents (--agent-port); clients connect to --server-port or --uds-name';
