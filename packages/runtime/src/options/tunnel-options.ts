/** Options of both ends of a tunnel, for tables to spread, and what they must fulfil together. */

import { UsageError } from '../process/usage-error.ts';
import { option } from './option.ts';
import { byteSize, duration, integer } from './option-kinds.ts';

const group = 'Deadlines and limits';
const kib = 1024;
const mib = 1024 ** 2;
const gib = 1024 ** 3;

/** The first window of every stream (docs/spec.md): growth cannot be capped below it. */
const firstWindowBytes = 64 * kib;
/** The greatest credit that a frame can carry is a 31-bit number. */
const greatestWindowBytes = 2 ** 31 - 1;

export const tunnelOptions = {
  'ping-interval': option(duration({ minMs: 100 }), {
    group,
    description: 'How long a tunnel may be silent before it is asked for a sign of life',
    default: 10_000,
  }),
  'ping-timeout': option(duration({ minMs: 100 }), {
    group,
    description: 'How long after that a tunnel that is still silent is closed',
    default: 20_000,
  }),
  'stalled-stream-timeout': option(duration({ minMs: 1 }), {
    group,
    description:
      "How long a stream may leave a full buffer of 1 MiB unread before it is reset; only in tunnels of Konnectivity's own protocol, where it holds up all others",
    default: 5_000,
  }),
  'graceful-shutdown-timeout': option(duration(), {
    group,
    description: 'How long open streams may go on after SIGTERM or SIGINT',
    default: 25_000,
  }),
  'max-streams-per-tunnel': option(integer(1, 1_000_000), {
    group,
    description: 'Most streams that one tunnel may carry at once',
    default: 20_000,
  }),
  'max-stream-window': option(byteSize(firstWindowBytes, greatestWindowBytes), {
    group,
    description: 'Most bytes of one stream that may be under way towards this process',
    default: 16 * mib,
  }),
  'max-tunnel-window': option(byteSize(firstWindowBytes, Number.MAX_SAFE_INTEGER), {
    group,
    description: 'Most bytes by which the windows of one tunnel may grow together',
    default: 64 * mib,
  }),
  'max-process-window': option(byteSize(firstWindowBytes, Number.MAX_SAFE_INTEGER), {
    group,
    description: 'Most bytes by which all windows of the process may grow together',
    default: gib,
  }),
};

/** How changed files are noticed, for tables to spread. */
export const reloadOptions = {
  'reload-interval': option(duration({ minMs: 100 }), {
    group: 'General',
    description:
      'How often certificates, keys, CA bundles and policies are looked at, beside the notices of the system and SIGHUP',
    default: 10_000,
  }),
};

/** @throws UsageError unless stream <= tunnel <= process */
export function checkWindows(options: {
  readonly maxStreamWindow: number;
  readonly maxTunnelWindow: number;
  readonly maxProcessWindow: number;
}): void {
  if (options.maxStreamWindow > options.maxTunnelWindow) {
    throw new UsageError('--max-stream-window must not be above --max-tunnel-window');
  }
  if (options.maxTunnelWindow > options.maxProcessWindow) {
    throw new UsageError('--max-tunnel-window must not be above --max-process-window');
  }
}
