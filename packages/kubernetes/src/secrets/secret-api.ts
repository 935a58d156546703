import type { ApiClient } from '../api/api-client.ts';
import { ObjectApi } from '../api/object-api.ts';
import { readAnswer } from '../api/read-answer.ts';
import { type Secret, secretListSchema, secretSchema } from './secret.ts';

/** As kubectl asks for long lists, piece by piece. */
const pageLength = 500;

export interface SecretApiOptions {
  readonly api: ApiClient;
  readonly namespace: string;
}

/** The Secrets of a namespace. All methods throw ApiError. */
export class SecretApi extends ObjectApi<Secret> {
  readonly #api: ApiClient;
  readonly #path: string;

  constructor({ api, namespace }: SecretApiOptions) {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
    super({ api, apiVersion: 'v1', kind: 'Secret', path, schema: secretSchema });
    this.#api = api;
    this.#path = path;
  }

  async list(labelSelector: string): Promise<Secret[]> {
    const secrets: Secret[] = [];
    const limit = String(pageLength);
    let from = '';
    do {
      const query = { labelSelector, limit, ...(from !== '' && { continue: from }) };
      const answer = await this.#api.request({ method: 'GET', path: this.#path, query });
      const { items, metadata } = readAnswer(secretListSchema, answer, 'Secrets');
      secrets.push(...items);
      from = metadata.continue;
    } while (from !== '');
    return secrets;
  }
}
