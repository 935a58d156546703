import { chisel } from './chisel.ts';
import { direct } from './direct.ts';
import { fairlead } from './fairlead.ts';
import { floor } from './floor.ts';
import { frp } from './frp.ts';
import { http2Reversed } from './http2-reversed.ts';
import { konnectivity } from './konnectivity.ts';
import { openssh } from './openssh.ts';
import { rathole } from './rathole.ts';
import { stunnel } from './stunnel.ts';
import type { System } from './system.ts';
import { tlsRelay } from './tls-relay.ts';

/** All systems, in the order of the report's tables. */
export const systems: readonly System[] = [
  direct,
  tlsRelay,
  floor('connect'),
  floor('grpc'),
  fairlead({ name: 'fairlead', about: 'Node; HTTP CONNECT on UDS, mutual TLS tunnel' }),
  fairlead({
    name: 'fairlead-mtls',
    about: 'Node; HTTP CONNECT on TCP with mutual TLS, mutual TLS tunnel',
    frontEnd: 'mtls',
  }),
  fairlead({
    name: 'fairlead-http2',
    about: 'Node; HTTP/2 CONNECT on UDS (one client connection), mutual TLS tunnel',
    frontEnd: 'http2',
  }),
  fairlead({
    name: 'fairlead-over-websocket',
    about: 'Node; HTTP CONNECT on UDS, WebSocket tunnel over mutual TLS',
    transport: 'websocket',
  }),
  fairlead({
    name: 'fairlead-over-http2',
    about: 'Node; HTTP CONNECT on UDS, HTTP/2 tunnel over mutual TLS',
    transport: 'http2',
  }),
  http2Reversed,
  stunnel,
  openssh,
  konnectivity('http-connect'),
  konnectivity('grpc'),
  chisel,
  frp,
  rathole,
];
