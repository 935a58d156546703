import { createHash, hkdfSync } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { readNamedBytes } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import type { NamedFile } from '@fairlead/runtime/tls';

/** What node:tls takes: a name, an HMAC key and an AES key of 16 bytes each. */
const TICKET_KEYS_BYTES = 48;
const MIN_SECRET_BYTES = 32;

/** Whose tickets they are; those of one port are never taken on the other. */
type TicketPort = 'agent port' | 'front end';

/**
 * Makes TLS ticket keys from a secret that several processes share, so that a session begun in one is
 * resumed in any.
 *
 * A ticket stands for a client certificate that was verified by certain CAs. The keys therefore depend
 * on the CAs too: after a change of CA no earlier ticket is taken.
 */
export function makeTicketKeys(
  secret: Uint8Array,
  port: TicketPort,
  ca: SecureContextOptions['ca'],
): Buffer {
  const salt = createHash('sha256').update(String(ca)).digest();
  return Buffer.from(
    hkdfSync('sha256', secret, salt, `fairlead ${port} tickets`, TICKET_KEYS_BYTES),
  );
}

/** @throws UsageError for a file that cannot be read or is too short to be a secret */
export function readTicketSecret(file: NamedFile): Buffer {
  const bytes = readNamedBytes(file.flag, file.path);
  let length = bytes.length;
  // Whether an editor ended the line must not matter.
  while (length > 0 && (bytes[length - 1] === 0x0a || bytes[length - 1] === 0x0d)) length--;
  if (length < MIN_SECRET_BYTES) {
    throw new UsageError(
      `${file.flag}: ${file.path}: holds ${length} bytes, a secret has at least ${MIN_SECRET_BYTES}; make one: openssl rand -hex 48`,
    );
  }
  return bytes.subarray(0, length);
}
