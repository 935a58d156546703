import { kinds, optionsIn } from '@fairlead/runtime/options';

const option = optionsIn('Deadlines and limits');

export const limitOptions = {
  'backend-dial-timeout': option(kinds.duration({ zeroIsNever: true }), {
    description: 'How long a dial through an agent may take; 0 disables the limit',
    default: 30_000,
  }),
  'half-close-timeout': option(kinds.duration({ minMs: 1 }), {
    description:
      "How long a stream through a Konnectivity agent may be idle after one side has ended; that agent's protocol has no half-close",
    default: 60_000,
  }),
  'handshake-timeout': option(kinds.duration({ minMs: 1 }), {
    description: 'How long a TLS handshake may take, on every port',
    default: 10_000,
  }),
  'head-timeout': option(kinds.duration({ minMs: 1 }), {
    description: 'How long a client may take to send its first byte, and then a whole request head',
    default: 10_000,
  }),
  'max-head-bytes': option(kinds.byteSize(1024, 1024 ** 2), {
    description: 'Maximum size of a request head',
    default: 16 * 1024,
  }),
  'shutdown-delay': option(kinds.duration(), {
    description:
      'How long the server still accepts new streams after SIGTERM or SIGINT, so that clients see /readyz fail first; skipped if /readyz was not requested within the last minute',
    default: 3_000,
  }),
  'agents-settle-time': option(kinds.duration(), {
    description:
      'A server that starts becomes ready when no further agent has connected for this long',
    default: 3_000,
  }),
  'agents-settle-timeout': option(kinds.duration(), {
    description:
      'A server that starts becomes ready at the latest this long after its first agent connected',
    default: 30_000,
  }),
  'max-streams': option(kinds.integer(1, 10_000_000), {
    description: 'Maximum number of streams, dialing or open',
    default: 50_000,
  }),
  'max-streams-per-caller': option(kinds.integer(1, 10_000_000), {
    description: 'Maximum number of streams per caller; all callers over --uds-name count as one',
    default: 50_000,
  }),
  'max-pending-dials': option(kinds.integer(1, 10_000_000), {
    description: 'Maximum number of streams that wait for their agents',
    default: 10_000,
  }),
  'max-opens-per-second': option(kinds.integer(1, 10_000_000), {
    description: 'Streams that one caller may open per second; the burst is twice as many',
    default: 20_000,
  }),
  'max-tunnel-bandwidth': option(kinds.byteSize(1024, Number.MAX_SAFE_INTEGER), {
    description: 'Maximum payload bytes per second of one tunnel, in each direction',
    defaultText: 'no limit',
  }),
  'max-handshakes': option(kinds.integer(1, 10_000_000), {
    description:
      'Maximum number of connections on all TLS ports whose peer is not authenticated yet; if there are more, the oldest is closed',
    default: 4096,
  }),
};
