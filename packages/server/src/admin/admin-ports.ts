import { AdminPorts, type AdminPortsOptions } from '@fairlead/runtime/admin';
import type { Logger } from '@fairlead/runtime/process';
import type { ServerOptions } from '../options.ts';

/** The health and admin ports, of a server and of the primary of several workers. */
export function createAdminPorts(
  { healthPort, healthBindAddress, adminPort, adminBindAddress }: ServerOptions,
  logger: Logger,
  content: Pick<AdminPortsOptions, 'registry' | 'notReadyReason' | 'reports'>,
): AdminPorts {
  return new AdminPorts(
    {
      ...content,
      notReadyStatus: 500,
      health: { flag: '--health-port', port: healthPort, host: healthBindAddress },
      admin: { flag: '--admin-port', port: adminPort, host: adminBindAddress },
    },
    logger,
  );
}
