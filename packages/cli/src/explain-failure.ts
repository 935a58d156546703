import { ClientError, type Route } from '@fairlead/client';
import { formatHostPort } from '@fairlead/runtime/net';
import { printable } from '@fairlead/runtime/process';
import { proxyName } from './proxy-options.ts';

/** The cure by error code. Codes of docs/errors.md without an entry need no further explanation. */
const cures: Readonly<Record<string, string>> = {
  proxy_unreachable: 'is the server running, and is this its --uds-name or its --server-port?',
  proxy_certificate:
    "check --proxy-ca-cert (the CA of the server's --server-cert), --proxy-server-name and the host in --proxy",
  client_certificate:
    "check --proxy-cert and --proxy-key: signed by the CA in the server's --server-ca-cert, and in date",
  unauthenticated:
    "check --proxy-cert and --proxy-key: signed by the CA in the server's --server-ca-cert, and in date",
  proxy_protocol:
    'is this a front end of fairlead-server (its --server-port, not its agent, health or admin port), and --proxy-protocol what its --mode allows?',
  no_agent:
    'run "fairlead status" and "fairlead why HOST:PORT" on the server to see which agents serve this target',
  target_refused: 'is the target listening, at this port?',
  target_unreachable: 'can the agent reach that address?',
  dns_failed: "the agent resolves the target's name; is it known there?",
  agent_failed: 'see the log of the agent: is it out of descriptors, or without a network?',
  dial_timeout: 'is a firewall between the agent and the target?',
  policy_denied: 'run "fairlead why HOST:PORT" on the server to see the rule',
  target_tls:
    'check --target-ca-cert, or give --target-insecure; a target without TLS is http://HOST:PORT',
  timeout: 'is the server overloaded, or stopped?',
  stream_lost: "see the server's log",
};

/** Failures of the front end or on the way to it. The target causes all others. */
const frontEndCodes = new Set([
  'proxy_unreachable',
  'proxy_certificate',
  'proxy_protocol',
  'client_certificate',
  'unauthenticated',
]);

/** Whether the failure affects all targets. */
export function isFrontEndFault(error: Error): boolean {
  return error instanceof ClientError && frontEndCodes.has(error.code);
}

/** A failure to reach the target, in one line: where, what, and the cure. */
export function explainFailure(error: Error, route: Route): string {
  const code = error instanceof ClientError ? error.code : undefined;
  const cure = code === undefined ? undefined : cures[code];
  const where = isFrontEndFault(error)
    ? `--proxy ${proxyName(route)}`
    : `target ${formatHostPort(route.target)} through ${proxyName(route)}`;
  const shownCode = code === undefined || error.message.includes(`(${code} `) ? '' : ` (${code})`;
  // The message can contain text of an untrusted peer.
  return `${where}: ${printable(error.message)}${shownCode}${cure === undefined ? '' : `; ${cure}`}`;
}
