/** Objects of one kind of the Kubernetes API, with versions and preconditions. */
import { ApiStatus } from './api-status.ts';

export interface StoredObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** The fields of an object in a request that the store uses. */
export type Given<T extends StoredObject> = Partial<Omit<T, 'metadata'>> & {
  readonly metadata?: Partial<StoredObject['metadata']>;
};

export type Change = 'ADDED' | 'MODIFIED' | 'DELETED';

const subdomain = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;

export abstract class ObjectStore<T extends StoredObject> {
  readonly #objects = new Map<string, T>();
  #version = 100;

  protected abstract readonly kind: 'Lease' | 'Secret';
  /** The fields besides the metadata. @throws ApiStatus if they are invalid */
  protected abstract contentOf(given: Given<T>, before?: T): Omit<T, 'metadata'>;
  protected onChange(_change: Change, _object: T): void {}

  get version(): number {
    return this.#version;
  }

  all(namespace: string, selector = ''): T[] {
    return [...this.#objects.values()].filter(
      (object) => object.metadata.namespace === namespace && matches(object, selector),
    );
  }

  get(namespace: string, name: string): T {
    const object = this.#objects.get(`${namespace}/${name}`);
    if (object) return object;
    throw new ApiStatus(404, 'NotFound', `${this.kind.toLowerCase()}s "${name}" not found`);
  }

  create(namespace: string, given: Given<T>): T {
    const { name = '', resourceVersion = '', labels, annotations } = given.metadata ?? {};
    if (!subdomain.test(name)) {
      throw new ApiStatus(422, 'Invalid', `${this.kind} "${name}" is invalid: metadata.name`);
    }
    if (resourceVersion !== '') {
      const text = 'resourceVersion should not be set on objects to be created';
      throw new ApiStatus(400, 'BadRequest', text);
    }
    if (this.#objects.has(`${namespace}/${name}`)) {
      const text = `${this.kind.toLowerCase()}s "${name}" already exists`;
      throw new ApiStatus(409, 'AlreadyExists', text);
    }
    const uid = `uid-${this.#version}`;
    const metadata = { name, namespace, uid, ...withoutUndefined({ labels, annotations }) };
    return this.#put('ADDED', metadata, this.contentOf(given));
  }

  update(namespace: string, name: string, given: Given<T>): T {
    const before = this.get(namespace, name);
    const { labels, annotations, ...preconditions } = given.metadata ?? {};
    checkPreconditions(before, preconditions);
    const metadata = { ...before.metadata, ...withoutUndefined({ labels, annotations }) };
    return this.#put('MODIFIED', metadata, this.contentOf(given, before));
  }

  delete(namespace: string, name: string, preconditions: Preconditions = {}): void {
    const before = this.get(namespace, name);
    checkPreconditions(before, preconditions);
    this.#put('DELETED', before.metadata, before);
    this.#objects.delete(`${namespace}/${name}`);
  }

  protected nextVersion(): number {
    this.#version += 1;
    return this.#version;
  }

  #put(
    change: Change,
    metadata: Omit<StoredObject['metadata'], 'resourceVersion'>,
    content: Omit<T, 'metadata'>,
  ): T {
    const resourceVersion = String(this.nextVersion());
    const stored = { ...content, metadata: { ...metadata, resourceVersion } } as unknown as T;
    this.#objects.set(`${metadata.namespace}/${metadata.name}`, stored);
    this.onChange(change, stored);
    return stored;
  }
}

type Preconditions = Partial<Pick<StoredObject['metadata'], 'uid' | 'resourceVersion'>>;

/** @throws ApiStatus 409 if the object has another UID or version than the request */
function checkPreconditions({ metadata }: StoredObject, wanted: Preconditions): void {
  const isSame =
    [undefined, '', metadata.uid].includes(wanted.uid) &&
    [undefined, '', metadata.resourceVersion].includes(wanted.resourceVersion);
  if (isSame) return;
  throw new ApiStatus(409, 'Conflict', `"${metadata.name}": the object has been modified`);
}

/** Whether an object has the labels of a selector of the form `key=value,key=value`. */
export function matches({ metadata }: StoredObject, selector: string): boolean {
  const terms = selector.split(',').filter((term) => term !== '');
  return terms.every((term) => {
    const [name = '', value] = term.split('=');
    return metadata.labels?.[name] === value;
  });
}

const withoutUndefined = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
