import { z } from 'zod';
import type { ApiClient } from './api/api-client.ts';
import { ObjectApi } from './api/object-api.ts';

/** Objects per page of a list; kubectl uses the same number. */
const pageLength = 500;

/** A Secret (core v1). Fields that are not listed here are kept unchanged. */
const secretSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string().optional(),
    // Required: an update without a version overwrites any other change.
    resourceVersion: z.string().min(1),
  }),
  type: z.string().default(''),
  /** Base64. */
  data: z.record(z.string(), z.string()).nullish(),
});

export type Secret = z.infer<typeof secretSchema>;

/** The Secrets of a namespace. All methods throw ApiError. */
export class SecretApi extends ObjectApi<Secret> {
  constructor({ api, namespace }: { readonly api: ApiClient; readonly namespace: string }) {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
    super({ api, apiVersion: 'v1', kind: 'Secret', path, schema: secretSchema });
  }

  async list(labelSelector: string): Promise<Secret[]> {
    const secrets: Secret[] = [];
    const limit = String(pageLength);
    let from = '';
    do {
      const page = await this.page({
        labelSelector,
        limit,
        ...(from !== '' && { continue: from }),
      });
      secrets.push(...page.items);
      from = page.continue;
    } while (from !== '');
    return secrets;
  }
}
