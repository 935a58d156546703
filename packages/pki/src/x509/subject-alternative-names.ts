import { PkiError } from '../pki-error.ts';
import { type Asn1, contextBytes, sequence } from './der.ts';
import { parseIpAddress } from './ip-address.ts';

/** The names that a certificate speaks for (RFC 5280, 4.2.1.6). */
export interface AlternativeNames {
  /** DNS names; `*.` may stand for one label at the front. */
  readonly hosts?: readonly string[];
  /** IPv4 and bare IPv6 addresses. */
  readonly ips?: readonly string[];
  /** Absolute URIs in ASCII. */
  readonly uris?: readonly string[];
}

// GeneralName's tags.
const DNS_NAME = 2;
const UNIFORM_RESOURCE_IDENTIFIER = 6;
const IP_ADDRESS = 7;

/**
 * Builds GeneralNames without duplicates; undefined when there is no name at all, since an empty
 * list is not allowed.
 *
 * Throws PkiError `bad_host`, `bad_ip` or `bad_uri`.
 */
export function generalNames(names: AlternativeNames): Asn1 | undefined {
  const hosts = (names.hosts ?? []).map(checkedHost);
  const ips = new Map((names.ips ?? []).map(checkedIp).map(({ text, bytes }) => [text, bytes]));
  const uris = (names.uris ?? []).map(checkedUri);
  const entries = [
    ...[...new Set(hosts)].map((host) => contextBytes(DNS_NAME, Buffer.from(host, 'ascii'))),
    ...[...ips.values()].map((bytes) => contextBytes(IP_ADDRESS, bytes)),
    ...[...new Set(uris)].map((uri) =>
      contextBytes(UNIFORM_RESOURCE_IDENTIFIER, Buffer.from(uri, 'ascii')),
    ),
  ];
  return entries.length === 0 ? undefined : sequence(...entries);
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** RFC 1034, 3.5 as RFC 1123, 2.1 relaxes it; lower case, since DNS names compare without case. */
function checkedHost(text: string): string {
  const host = text.toLowerCase();
  const labels = host.split('.');
  const last = labels.at(-1);
  if (labels.length > 1 && labels[0] === '*') labels.shift();
  // A name that ends in a number is read as an IPv4 address by every URL parser.
  const endsInNumber = last !== undefined && /^\d+$/.test(last);
  if (host.length > 253 || endsInNumber || !labels.every((label) => LABEL.test(label))) {
    const cure = parseIpAddress(text) === undefined ? '' : '; it is an IP address';
    throw new PkiError('bad_host', `${JSON.stringify(text)} is not a DNS name${cure}`);
  }
  return host;
}

function checkedIp(text: string): { text: string; bytes: Buffer } {
  const address = parseIpAddress(text);
  if (address === undefined) {
    throw new PkiError(
      'bad_ip',
      `${JSON.stringify(text)} is not an IPv4 address or a bare IPv6 address`,
    );
  }
  return address;
}

function checkedUri(text: string): string {
  if (!/^[\x21-\x7e]+$/.test(text) || !URL.canParse(text)) {
    throw new PkiError('bad_uri', `${JSON.stringify(text)} is not an absolute URI in ASCII`);
  }
  return text;
}
