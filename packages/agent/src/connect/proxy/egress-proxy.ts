import type { SecureContextOptions } from 'node:tls';
import type { Target } from '@fairlead/protocol';
import { UsageError } from '@fairlead/runtime/process';
import { NoProxyList } from './no-proxy.ts';

/** An HTTP proxy on the way out, to be asked with CONNECT. */
export interface EgressProxy {
  /** For texts: scheme, host and port, never the password. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** The proxy itself is reached by TLS. */
  readonly secure: boolean;
  /** The value of Proxy-Authorization (RFC 7617). */
  readonly authorization: string | undefined;
  /** Whom to trust as a secure proxy; without it Node's CAs, NODE_EXTRA_CA_CERTS included. */
  readonly tls?: SecureContextOptions | undefined;
}

export interface EgressProxyOptions {
  /** The value of `--egress-proxy`. */
  readonly url: string | URL | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly tls?: SecureContextOptions | undefined;
}

/**
 * Which proxy leads to which server: `--egress-proxy`, else https_proxy, else HTTPS_PROXY, and none
 * for what no_proxy, else NO_PROXY, takes out. These are curl's rules, the flag standing for `-x`;
 * a port that the URL does not name is that of its scheme.
 */
export class EgressProxies {
  readonly #proxy: EgressProxy | undefined;
  readonly #exceptions: NoProxyList;

  /** @throws UsageError that names the flag or the variable, when the URL is none of a proxy */
  constructor({ url, env, tls }: EgressProxyOptions) {
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

  /** The proxy for a server, or undefined to go straight. */
  for(server: Target): EgressProxy | undefined {
    return this.#exceptions.matches(server) ? undefined : this.#proxy;
  }
}

function parseProxy(text: string, source: string): EgressProxy {
  // curl takes a bare host:port for an http proxy.
  const url = parseUrl(text.includes('://') ? text : `http://${text}`);
  const secure = url?.protocol === 'https:';
  if (!url || url.hostname === '' || (!secure && url.protocol !== 'http:')) {
    throw new UsageError(
      `${source}: not the URL of an HTTP proxy; give http://HOST:PORT or https://HOST:PORT`,
    );
  }
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return {
    name: `${url.protocol}//${url.hostname}:${port}`,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port,
    secure,
    authorization: basicAuthorization(url, source),
  };
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

function basicAuthorization({ username, password }: URL, source: string): string | undefined {
  if (username === '' && password === '') return undefined;
  try {
    const userinfo = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${Buffer.from(userinfo).toString('base64')}`;
  } catch {
    throw new UsageError(
      `${source}: the user or password has a bad %-escape; write % itself as %25`,
    );
  }
}
