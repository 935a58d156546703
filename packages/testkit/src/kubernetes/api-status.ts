/** An error answer of the Kubernetes API. */
export class ApiStatus extends Error {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** @throws ApiStatus 409 if the object has another UID or version than the request */
export function checkPreconditions(
  { uid, resourceVersion }: Required<Preconditions>,
  wanted: Preconditions,
  name: string,
): void {
  const isSame =
    [undefined, '', uid].includes(wanted.uid) &&
    [undefined, '', resourceVersion].includes(wanted.resourceVersion);
  if (!isSame) throw new ApiStatus(409, 'Conflict', `"${name}": the object has been modified`);
}

/** Whether an object has the labels of a selector of the form `key=value,key=value`. */
export function matches(
  { metadata }: { readonly metadata: { readonly labels?: Readonly<Record<string, string>> } },
  selector: string,
): boolean {
  return selector
    .split(',')
    .filter((term) => term !== '')
    .every((term) => {
      const [name = '', value] = term.split('=');
      return metadata.labels?.[name] === value;
    });
}
