import { type ErrorCode, TunnelError } from '@fairlead/protocol';

/**
 * The kernel's errors of a connect, as a code and in Go's words, which operators of Konnectivity know and
 * search for.
 */
const connectFailures: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ECONNREFUSED: ['target_refused', 'connect: connection refused'],
  EHOSTUNREACH: ['target_unreachable', 'connect: no route to host'],
  EHOSTDOWN: ['target_unreachable', 'connect: host is down'],
  // The agent's machine sent nothing. It can be avoided, because its next dials will probably fail too.
  ENETUNREACH: ['agent_failed', 'connect: network is unreachable'],
  ENETDOWN: ['agent_failed', 'connect: network is down'],
  EADDRNOTAVAIL: ['agent_failed', 'connect: cannot assign requested address'],
  EMFILE: ['agent_failed', 'socket: too many open files'],
  ENFILE: ['agent_failed', 'socket: too many open files in system'],
  ENOBUFS: ['agent_failed', 'connect: no buffer space available'],
  ENOMEM: ['agent_failed', 'connect: cannot allocate memory'],
  EAFNOSUPPORT: ['target_unreachable', 'connect: address family not supported by protocol'],
  EINVAL: ['target_unreachable', 'connect: invalid argument'],
  EACCES: ['target_unreachable', 'connect: permission denied'],
  EPERM: ['target_unreachable', 'connect: operation not permitted'],
  ECONNRESET: ['target_reset', 'connect: connection reset by peer'],
  ETIMEDOUT: ['dial_timeout', 'connect: connection timed out'],
};

const lookupFailures: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host',
  ENODATA: 'no such host',
  EAI_AGAIN: 'temporary failure in name resolution',
};

export function connectError(error: NodeJS.ErrnoException, address: string): TunnelError {
  const known = connectFailures[error.code ?? ''];
  const [code, text] = known ?? (['dial_failed', `connect: ${error.message}`] as const);
  return new TunnelError(code, `dial tcp ${address}: ${text}`, { cause: error });
}

export function lookupError(error: NodeJS.ErrnoException, host: string): TunnelError {
  const text = lookupFailures[error.code ?? ''] ?? error.message;
  // Not EAI_AGAIN, which can come from one broken zone.
  const isLocal = /^(EMFILE|ENFILE|ENOMEM|EAI_MEMORY)$/.test(error.code ?? '');
  const code = isLocal ? 'agent_failed' : 'dns_failed';
  return new TunnelError(code, `dial tcp: lookup ${host}: ${text}`, { cause: error });
}
