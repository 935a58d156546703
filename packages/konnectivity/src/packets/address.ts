import { type Target, TunnelError } from '@fairlead/protocol';

const pattern = /^(?:\[(?<ipv6>[^\]]+)\]|(?<host>[^:]+)):(?<port>[1-9][0-9]{0,4})$/;

/**
 * Reads the address of a DIAL_REQ as Go's `net.SplitHostPort` does, for ports by number.
 * @throws TunnelError `bad_target`
 */
export function parseAddress(address: string): Target {
  const { ipv6, host = ipv6, port: digits } = pattern.exec(address)?.groups ?? {};
  const port = Number(digits);
  if (host === undefined || host.length > 253 || !(port <= 65_535)) {
    const shown = JSON.stringify(address.slice(0, 64));
    throw new TunnelError('bad_target', `dial tcp: address ${shown}: want HOST:PORT`);
  }
  return { host, port };
}
