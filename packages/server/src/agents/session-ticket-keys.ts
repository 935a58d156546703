import { createHash, hkdfSync } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { readNamedBytes } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import type { NamedFile } from '@fairlead/runtime/tls';

/** For node:tls: a name, an HMAC key and an AES key of 16 bytes each. */
const TICKET_KEYS_BYTES = 48;
const MIN_SECRET_BYTES = 32;

/**
 * Derives TLS session ticket keys from a secret that several processes share, so that a client can resume its
 * session in any of them.
 *
 * A ticket represents a client certificate that certain CAs have verified. The keys therefore also depend on
 * the CAs: after a change of CA, earlier tickets are invalid.
 *
 * @param port tickets of one port are invalid on the other
 */
export function makeTicketKeys(
  secret: Uint8Array,
  port: 'agent port' | 'front end',
  ca: SecureContextOptions['ca'],
): Buffer {
  const salt = createHash('sha256').update(String(ca)).digest();
  return Buffer.from(
    hkdfSync('sha256', secret, salt, `fairlead ${port} tickets`, TICKET_KEYS_BYTES),
  );
}

/** @throws UsageError for a file that cannot be read or is too short */
export function readTicketSecret(file: NamedFile): Buffer {
  const bytes = readNamedBytes(file.flag, file.path);
  let length = bytes.length;
  // An editor may have added a line end.
  while (length > 0 && (bytes[length - 1] === 0x0a || bytes[length - 1] === 0x0d)) length--;
  if (length < MIN_SECRET_BYTES) {
    throw new UsageError(
      `${file.flag}: ${file.path}: the secret has ${length} bytes, it needs at least ${MIN_SECRET_BYTES}. Create one with: openssl rand -hex 48`,
    );
  }
  return bytes.subarray(0, length);
}
