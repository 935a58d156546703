import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Route } from './route.ts';

/** Large enough that HTTP/2's windows limit nobody on these links. */
const windowBytes = 16 * 1024 * 1024;

/** Opens an HTTP/2 connection to the route's address, with windows that do not get in the way. */
export function openHttp2Session({ address, tls }: Route): ClientHttp2Session {
  const session = connectHttp2('http://localhost', {
    settings: { initialWindowSize: windowBytes, enablePush: false },
    createConnection: () => {
      if (!tls) return connect({ ...address });
      return connectTls({ ...address, ...tls, servername: 'localhost', ALPNProtocols: ['h2'] });
    },
  });
  session.once('connect', () => session.setLocalWindowSize(windowBytes));
  return session;
}
