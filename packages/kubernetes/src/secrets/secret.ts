import { z } from 'zod';

/** A Secret (core v1) as the API writes it; what is not named here is kept as it is. */
export const secretSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string().optional(),
    // Never empty: an update without one would overwrite whatever is there.
    resourceVersion: z.string().min(1),
  }),
  type: z.string().default(''),
  /** In Base64. */
  data: z.record(z.string(), z.string()).nullish(),
});

export type Secret = z.infer<typeof secretSchema>;

export const secretListSchema = z.object({
  metadata: z.object({ continue: z.string().default('') }).default({ continue: '' }),
  items: z
    .array(secretSchema)
    .nullish()
    .transform((items) => items ?? []),
});
