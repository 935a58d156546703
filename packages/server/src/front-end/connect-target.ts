import { isIPv4, isIPv6 } from 'node:net';
import { type Target, TunnelError } from '@fairlead/protocol';

const maxNameLength = 253;
const label = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
const authority =
  /^(?:\[(?<ipv6>[0-9A-Fa-f:.]+)\]|(?<name>[A-Za-z0-9._-]+)):(?<port>[1-9][0-9]{0,4})$/;

/**
 * Parses the target of a CONNECT: the authority form `host:port` of RFC 9112 section 3.2.3, with
 * IPv6 in brackets. HTTP parsers accept more than may be dialed, so it is checked here.
 *
 * A name of digits and dots that is not an IPv4 address passes. The agent resolves it and checks the result.
 *
 * @throws TunnelError `bad_target` with the reason
 */
export function parseConnectTarget(text: string): Target {
  const { ipv6, name, port: digits } = authority.exec(text)?.groups ?? {};
  if (digits === undefined) {
    throw badTarget(text, 'want HOST:PORT with a port from 1 to 65535, IPv6 as [ADDRESS]:PORT');
  }
  const port = Number(digits);
  if (port > 65_535) throw badTarget(text, 'the highest port is 65535');
  if (ipv6 !== undefined) {
    if (!isIPv6(ipv6)) throw badTarget(text, 'the text in brackets is not an IPv6 address');
    return { host: ipv6, port };
  }
  const host = name!;
  if (!isIPv4(host)) checkName(host, text);
  return { host, port };
}

function checkName(host: string, text: string): void {
  const withoutRoot = host.endsWith('.') ? host.slice(0, -1) : host;
  if (withoutRoot.length > maxNameLength) {
    throw badTarget(text, `a name has at most ${maxNameLength} characters`);
  }
  if (!withoutRoot.split('.').every((part) => label.test(part))) {
    throw badTarget(text, 'the host is neither an IP address nor a DNS name');
  }
}

function badTarget(text: string, reason: string): TunnelError {
  // The text before `@` may be a password, which must not appear in logs and answers.
  const masked = text.replace(/^.*@/s, '***@');
  const shown = masked.length > 64 ? `${masked.slice(0, 64)}…` : masked;
  return new TunnelError('bad_target', `bad target ${JSON.stringify(shown)}: ${reason}`);
}
