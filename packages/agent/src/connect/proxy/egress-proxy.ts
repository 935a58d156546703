import type { SecureContextOptions } from 'node:tls';
import type { Target } from '@fairlead/protocol';
import { UsageError } from '@fairlead/runtime/process';
import { NoProxyList } from './no-proxy.ts';

/** An HTTP proxy for outgoing connections, which the agent uses with CONNECT. */
export interface EgressProxy {
  /** For logs and errors: scheme, host and port, never the password. */
  readonly name: string;
  /** The environment variable that names it; undefined for the flag. */
  readonly variable: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  /** The value of Proxy-Authorization (RFC 7617). */
  readonly authorization: string | undefined;
  /** The CAs that an https proxy is verified with; default: Node's, with NODE_EXTRA_CA_CERTS. */
  readonly tls?: SecureContextOptions | undefined;
}

/**
 * Selects the proxy for a server: `--egress-proxy`, else https_proxy, else HTTPS_PROXY. Servers that
 * no_proxy, else NO_PROXY, lists are connected to directly. These are curl's rules, with the flag as `-x`.
 * The default port is that of the URL's scheme.
 */
export class EgressProxies {
  readonly #proxy: EgressProxy | undefined;
  readonly #exceptions: NoProxyList;

  /**
   * @param options.url the value of `--egress-proxy`
   * @throws UsageError that names the flag or the variable, if the URL is not an HTTP proxy's
   */
  constructor({
    url,
    env,
    tls,
  }: {
    readonly url: string | URL | undefined;
    readonly env: NodeJS.ProcessEnv;
    readonly tls?: SecureContextOptions | undefined;
  }) {
    this.#exceptions = new NoProxyList(env.no_proxy ?? env.NO_PROXY ?? '');
    const source = [
      ['--egress-proxy', url],
      ['https_proxy', env.https_proxy],
      ['HTTPS_PROXY', env.HTTPS_PROXY],
    ] as const;
    const [name, value] = source.find(([, value]) => value !== undefined) ?? [];
    if (name === undefined || value === undefined || String(value) === '') return;
    this.#proxy = { ...parseProxy(String(value), name), tls };
  }

  /** The proxy for a server; undefined for a direct connection. */
  for(server: Target): EgressProxy | undefined {
    return this.#exceptions.matches(server) ? undefined : this.#proxy;
  }
}

function parseProxy(text: string, source: string): EgressProxy {
  // As in curl, `host:port` without a scheme is an http proxy.
  const full = text.includes('://') ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  const secure = url?.protocol === 'https:';
  if (!url || url.hostname === '' || (!secure && url.protocol !== 'http:')) {
    throw new UsageError(
      `${source}: not the URL of an HTTP proxy. Use http://HOST:PORT or https://HOST:PORT`,
    );
  }
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return {
    name: `${url.protocol}//${url.hostname}:${port}`,
    variable: source.startsWith('--') ? undefined : source,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port,
    secure,
    authorization: basicAuthorization(url, source),
  };
}

function basicAuthorization({ username, password }: URL, source: string): string | undefined {
  if (username === '' && password === '') return undefined;
  try {
    const userinfo = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${Buffer.from(userinfo).toString('base64')}`;
  } catch {
    throw new UsageError(
      `${source}: the user or password has an invalid %-escape. Write the character % as %25`,
    );
  }
}
