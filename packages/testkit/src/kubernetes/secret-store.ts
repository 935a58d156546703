/** Secrets of the Kubernetes API (core v1). */
import { ApiStatus } from './api-status.ts';
import { type Given, ObjectStore, type StoredObject } from './object-store.ts';

export interface StoredSecret extends StoredObject {
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export class SecretStore extends ObjectStore<StoredSecret> {
  protected readonly kind = 'Secret';

  /** A page of the list, and the `continue` value of the next page; empty at the end. */
  page(namespace: string, query: URLSearchParams) {
    const all = this.all(namespace, query.get('labelSelector') ?? '');
    const begin = Number(query.get('continue') ?? 0);
    const end = begin + Number(query.get('limit') ?? all.length);
    return { items: all.slice(begin, end), next: end < all.length ? String(end) : '' };
  }

  protected contentOf(given: Given<StoredSecret>, before?: StoredSecret) {
    const { type = before?.type ?? 'Opaque', data = {} } = given;
    if (before && type !== before.type) {
      const text = `Secret "${before.metadata.name}" is invalid: type: field is immutable`;
      throw new ApiStatus(422, 'Invalid', text);
    }
    if (!Object.values(data).every((value) => base64.test(value))) {
      throw new ApiStatus(400, 'BadRequest', 'illegal base64 data');
    }
    return { apiVersion: 'v1', kind: 'Secret', type, data };
  }
}
