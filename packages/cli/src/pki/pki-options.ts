/** What the tables of the pki commands have in common. */
import { kinds } from '@fairlead/runtime/options';

/** The path of a directory. */
export const directory = { ...kinds.filePath, placeholder: 'DIR' };

/** Days that a certificate lives. */
export const days = { ...kinds.integer(1, 36_500), placeholder: 'DAYS' };

/** Names that the pki library checks, one by one. */
export const names = (placeholder: string) => kinds.list({ ...kinds.text, placeholder });

export const keyType = kinds.oneOf('ec', 'rsa');
