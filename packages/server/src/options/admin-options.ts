import { kinds, option } from '@fairlead/runtime/options';

const group = 'Health, metrics and admin';

export const adminOptions = {
  'access-log': option(kinds.filePath, {
    group,
    description:
      'File to which the server appends one JSON line per stream: caller, target, agent, bytes each way, duration, end; SIGHUP reopens it. Without it, streams that end without an error are logged only at --log-level=debug',
  }),
  'health-port': option(kinds.listenPort, {
    group,
    description: 'Port of /healthz, /readyz and /metrics; 0 lets the system pick one',
    default: 8092,
  }),
  'health-bind-address': option(kinds.host, {
    group,
    description: 'Address on which --health-port listens',
    defaultText: 'all',
  }),
  'admin-port': option(kinds.listenPort, {
    group,
    description: 'Port of the admin server; 0 lets the system pick one',
    default: 8095,
  }),
  'admin-bind-address': option(kinds.host, {
    group,
    description: 'Address on which --admin-port listens',
    default: '127.0.0.1',
  }),
};
