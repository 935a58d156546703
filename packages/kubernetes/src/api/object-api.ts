import { z } from 'zod';
import type { ApiClient } from './api-client.ts';
import { readAnswer } from './api-error.ts';

/** The fields of every API object that requests need. */
interface ApiObject {
  readonly metadata: {
    readonly name: string;
    readonly uid?: string | undefined;
    readonly resourceVersion: string;
  };
}

interface ObjectApiOptions<T> {
  readonly api: ApiClient;
  readonly apiVersion: string;
  readonly kind: string;
  /** Path of the list, without a trailing slash. */
  readonly path: string;
  readonly schema: z.ZodType<T>;
}

/** The objects of one kind in one namespace. All methods throw ApiError. */
export class ObjectApi<T extends ApiObject> {
  protected readonly options: ObjectApiOptions<T>;

  constructor(options: ObjectApiOptions<T>) {
    this.options = options;
  }

  async get(name: string, signal: AbortSignal): Promise<T> {
    const { api, path } = this.options;
    return this.#read(await api.request({ method: 'GET', path: `${path}/${name}`, signal }));
  }

  async create(object: object, signal: AbortSignal): Promise<T> {
    const { api, path, apiVersion, kind } = this.options;
    const body = { apiVersion, kind, ...object };
    return this.#read(await api.request({ method: 'POST', path, body, signal }));
  }

  /** Replaces an object; status 409 if it has changed since it was read. */
  async update(object: T, signal: AbortSignal): Promise<T> {
    const { api, path: directory } = this.options;
    const path = `${directory}/${object.metadata.name}`;
    return this.#read(await api.request({ method: 'PUT', path, body: object, signal }));
  }

  /** Deletes an object; status 409 if it has changed since it was read. */
  async delete({ metadata }: T, signal: AbortSignal): Promise<void> {
    const { api, path: directory } = this.options;
    const { name, uid, resourceVersion } = metadata;
    const preconditions = { resourceVersion, ...(uid !== undefined && { uid }) };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
    await api.request({ method: 'DELETE', path: `${directory}/${name}`, body, signal });
  }

  /** One page of the list; the whole list without a `limit` in the query. */
  protected async page(query: Readonly<Record<string, string>>, signal?: AbortSignal) {
    const { api, path, schema, kind } = this.options;
    const answer = await api.request({ method: 'GET', path, query, signal });
    const listSchema = z.object({
      metadata: z.object({
        resourceVersion: z.string().default(''),
        continue: z.string().default(''),
      }),
      items: z.array(schema).nullish(),
    });
    const { metadata, items } = readAnswer(listSchema, answer, `${kind}s`);
    return { ...metadata, items: items ?? [] };
  }

  #read(answer: unknown): T {
    return readAnswer(this.options.schema, answer, `a ${this.options.kind}`);
  }
}
