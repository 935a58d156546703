import { sharedTestPki } from '@fairlead/testkit';

export interface ServerCredentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A certificate for `localhost` and 127.0.0.1, and the CA that signed it. */
export async function testServerCredentials(): Promise<ServerCredentials> {
  const { ca, server } = (await sharedTestPki()).agent;
  return { ca, cert: server.cert, key: server.key };
}
