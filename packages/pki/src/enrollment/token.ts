import { createHash, randomBytes } from 'node:crypto';

/** A token that lets one agent join once. */
export interface Token {
  /** Names the token in lists, logs and deny lists; no secret. */
  readonly id: string;
  /** The whole token, `ID.SECRET`. */
  readonly text: string;
}

/** 60 random bits name a token, 160 guard it. */
const ID_CHARACTERS = 12;
const SECRET_CHARACTERS = 32;
/** RFC 4648 section 6, in lower case: nothing that could be mistaken when it is read out. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const FORM = new RegExp(`^([a-z2-7]{${ID_CHARACTERS}})\\.[a-z2-7]{${SECRET_CHARACTERS}}$`);

/** Makes a token that nobody can guess. */
export function makeToken(): Token {
  const id = randomText(ID_CHARACTERS);
  return { id, text: `${id}.${randomText(SECRET_CHARACTERS)}` };
}

/** Reads a token; undefined for anything else. */
export function parseToken(text: string): Token | undefined {
  const [, id] = FORM.exec(text) ?? [];
  return id === undefined ? undefined : { id, text };
}

/**
 * What an issuer keeps of a token. A plain hash is enough: there is no searching through 160 random bits,
 * as there is through passwords.
 */
export function hashOfToken({ text }: Token): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Five bits of each byte make a character. */
function randomText(characters: number): string {
  return Array.from(randomBytes(characters), (byte) => ALPHABET[byte & 31]).join('');
}
