import { kinds, optionsIn } from '@fairlead/runtime/options';

const option = optionsIn('Health, metrics and admin');

export const adminOptions = {
  'access-log': option(kinds.filePath, {
    description:
      'File to which the server appends one JSON line per stream: caller, target, agent, bytes each way, duration, end; SIGHUP reopens it. Without it, streams that end without an error are logged only at --log-level=debug',
  }),
  'health-port': option(kinds.listenPort, {
    description: 'Port of /healthz, /readyz and /metrics; 0 lets the system pick one',
    default: 8092,
  }),
  'health-bind-address': option(kinds.host, {
    description: 'Address on which --health-port listens',
    defaultText: 'all',
  }),
  'admin-port': option(kinds.listenPort, {
    description: 'Port of the admin server; 0 lets the system pick one',
    default: 8095,
  }),
  'admin-bind-address': option(kinds.host, {
    description: 'Address on which --admin-port listens',
    default: '127.0.0.1',
  }),
};
