/** Secrets of the Kubernetes API (core v1), with versions. */
import { ApiStatus, checkPreconditions, matches, type Preconditions } from './api-status.ts';

export interface StoredSecret {
  readonly apiVersion: 'v1';
  readonly kind: 'Secret';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly type: string;
  /** In Base64. */
  readonly data: Readonly<Record<string, string>>;
}

/** The fields of a Secret in a request that the store uses. */
export type GivenSecret = {
  readonly metadata?: Partial<StoredSecret['metadata']>;
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
};

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export class SecretStore {
  readonly #secrets = new Map<string, StoredSecret>();
  #version = 500;

  all(namespace: string, selector = ''): StoredSecret[] {
    return [...this.#secrets.values()].filter(
      (secret) => secret.metadata.namespace === namespace && matches(secret, selector),
    );
  }

  /** A page of the list, and the `continue` value of the next page; empty at the end. */
  page(
    namespace: string,
    query: URLSearchParams,
  ): { readonly items: StoredSecret[]; readonly next: string } {
    const all = this.all(namespace, query.get('labelSelector') ?? '');
    const begin = Number(query.get('continue') ?? 0);
    const end = begin + Number(query.get('limit') ?? all.length);
    return { items: all.slice(begin, end), next: end < all.length ? String(end) : '' };
  }

  get(namespace: string, name: string): StoredSecret {
    const secret = this.#secrets.get(`${namespace}/${name}`);
    if (!secret) throw new ApiStatus(404, 'NotFound', `secrets "${name}" not found`);
    return secret;
  }

  create(namespace: string, { metadata = {}, ...given }: GivenSecret): StoredSecret {
    const { name = '', labels } = metadata;
    if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) {
      throw new ApiStatus(422, 'Invalid', `Secret "${name}" is invalid: metadata.name`);
    }
    if (this.#secrets.has(`${namespace}/${name}`)) {
      throw new ApiStatus(409, 'AlreadyExists', `secrets "${name}" already exists`);
    }
    const uid = `uid-${this.#version}`;
    const { type = 'Opaque', data = {} } = given;
    return this.#put({
      ...{ apiVersion: 'v1', kind: 'Secret', type, data },
      metadata: { name, namespace, uid, resourceVersion: '', ...(labels && { labels }) },
    });
  }

  update(namespace: string, name: string, { metadata = {}, ...given }: GivenSecret): StoredSecret {
    const before = this.get(namespace, name);
    checkPreconditions(before.metadata, metadata, name);
    if ((given.type ?? before.type) !== before.type) {
      throw new ApiStatus(422, 'Invalid', `Secret "${name}" is invalid: type: field is immutable`);
    }
    return this.#put({ ...before, data: given.data ?? {} });
  }

  delete(namespace: string, name: string, preconditions: Preconditions = {}): void {
    checkPreconditions(this.get(namespace, name).metadata, preconditions, name);
    this.#secrets.delete(`${namespace}/${name}`);
  }

  #put(secret: StoredSecret): StoredSecret {
    const { name, namespace } = secret.metadata;
    if (!Object.values(secret.data).every((value) => base64.test(value))) {
      throw new ApiStatus(400, 'BadRequest', 'illegal base64 data');
    }
    this.#version += 1;
    const metadata = { ...secret.metadata, resourceVersion: String(this.#version) };
    const stored = { ...secret, metadata };
    this.#secrets.set(`${namespace}/${name}`, stored);
    return stored;
  }
}
