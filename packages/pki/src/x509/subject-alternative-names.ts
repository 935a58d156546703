import { PkiError } from '../pki-error.ts';
import { type Asn1, contextBytes, sequence } from './der.ts';
import { parseIpName } from './ip-name.ts';

/** The names of a certificate's subject (RFC 5280, 4.2.1.6). */
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
 * Builds GeneralNames without duplicates; undefined if there is no name, since an empty list is not
 * allowed.
 *
 * Throws PkiError `bad_host`, `bad_ip` or `bad_uri`.
 */
export function generalNames(names: AlternativeNames): Asn1 | undefined {
  const hosts = (names.hosts ?? []).map(checkedHost);
  const ips = new Map((names.ips ?? []).map(checkedIp));
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

/** Checks a host by RFC 1034, 3.5 and RFC 1123, 2.1. Lower case, since DNS names are case-insensitive. */
function checkedHost(text: string): string {
  const host = text.toLowerCase();
  const labels = host.split('.');
  const last = labels.at(-1);
  if (labels.length > 1 && labels[0] === '*') labels.shift();
  // URL parsers treat a name that ends in a number as an IPv4 address.
  const endsInNumber = last !== undefined && /^\d+$/.test(last);
  if (host.length > 253 || endsInNumber || !labels.every((label) => LABEL.test(label))) {
    const cure = parseIpName(text) === undefined ? '' : '; it is an IP address';
    throw new PkiError('bad_host', `${JSON.stringify(text)} is not a DNS name${cure}`);
  }
  return host;
}

/** @returns the canonical text and the bytes */
function checkedIp(text: string): [string, Buffer] {
  const address = parseIpName(text);
  if (address === undefined) {
    throw new PkiError(
      'bad_ip',
      `${JSON.stringify(text)} is not an IPv4 address or a bare IPv6 address`,
    );
  }
  return [address.text, address.bytes];
}

function checkedUri(text: string): string {
  if (!/^[\x21-\x7e]+$/.test(text) || !URL.canParse(text)) {
    throw new PkiError('bad_uri', `${JSON.stringify(text)} is not an absolute URI in ASCII`);
  }
  return text;
}
