/** A slow link in its own process, so that it does not block the event loop of another process. */
import type { TcpAddress } from '@fairlead/client';
import { type SlowLinkOptions, startSlowLink } from '@fairlead/testkit';
import { serveCalls } from '../process/calls.ts';

serveCalls({
  async start(options: SlowLinkOptions): Promise<TcpAddress> {
    const { host, port } = await startSlowLink(options);
    return { host, port };
  },
});
