import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { MAX_REQUEST_BYTES } from '../../enrollment/index.ts';
import { Refusal } from './refusal.ts';

/**
 * Reads a request's body as JSON.
 *
 * @throws Refusal if the body does not match the schema; its text contains nothing of the body
 */
export async function readJsonBody<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const body = await readBody(request);
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Refusal('bad_request', 'the body is not JSON');
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const wanted = Object.keys((schema as unknown as z.ZodObject).shape).join(' and ');
  throw new Refusal('bad_request', `the body must have ${wanted}, and nothing else`);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_REQUEST_BYTES) break;
      chunks.push(chunk);
    }
  } catch {
    throw new Refusal('bad_request', 'the request ended early');
  }
  if (bytes > MAX_REQUEST_BYTES) {
    throw new Refusal('bad_request', `the body is longer than ${MAX_REQUEST_BYTES} bytes`, {
      status: 413,
    });
  }
  return Buffer.concat(chunks).toString('utf8');
}
