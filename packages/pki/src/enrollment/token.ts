import { createHash, randomBytes } from 'node:crypto';

/** A token with which one agent joins once. */
export interface Token {
  /** Names the token in lists, logs and deny lists; not secret. */
  readonly id: string;
  /** The whole token, `ID.SECRET`. */
  readonly text: string;
}

/** The ID has 60 random bits, the secret 160. */
const ID_CHARACTERS = 12;
const SECRET_CHARACTERS = 32;
/** RFC 4648 section 6, in lower case: no characters that look alike. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const FORM = new RegExp(`^([a-z2-7]{${ID_CHARACTERS}})\\.[a-z2-7]{${SECRET_CHARACTERS}}$`);

export function makeToken(): Token {
  const id = randomText(ID_CHARACTERS);
  return { id, text: `${id}.${randomText(SECRET_CHARACTERS)}` };
}

/** Parses a token. @returns undefined for anything else */
export function parseToken(text: string): Token | undefined {
  const [, id] = FORM.exec(text) ?? [];
  return id === undefined ? undefined : { id, text };
}

/**
 * The hash that a token store keeps. Plain SHA-256 is enough: unlike passwords, 160 random bits cannot be
 * searched.
 */
export function hashOfToken({ text }: Token): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Each character encodes five bits of a random byte. */
function randomText(characters: number): string {
  return Array.from(randomBytes(characters), (byte) => ALPHABET[byte & 31]).join('');
}
