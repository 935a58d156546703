import { findProgram } from '../process/find-program.ts';
import type { System } from '../systems/system.ts';
import type { GoLoad, Measure } from './measure.ts';

/** The load generator of bench/peers/load. */
export const goLoadProgram = 'fairlead-load';

/**
 * Short connections run more code than bytes of long ones. In a server that has just started, V8's compiler threads use
 * a fifth of the CPU time for that long.
 */
const settleMs = 12_000;

const aboutHttp =
  ' They read each answer to its end, which the latency includes. Without keep-alive, the target closes the connection.';

/**
 * The measure with the load generator in Go. Except for gRPC connections, its clients need less CPU time than those in
 * Node. Clients share the server's cores, so the measure shows more of what short connections cost the server.
 */
export function withGoLoad(
  measure: Measure,
  goLoad: GoLoad = { sharesConnection: false },
): Measure {
  const { name, title } = measure;
  const isHttp = measure.targets.includes('http');
  const clients = goLoad.sharesConnection
    ? 'gRPC clients in Go on one connection'
    : 'clients in Go';
  return {
    ...measure,
    name: `${name}-${goLoad.sharesConnection ? 'reused' : 'go'}`,
    title: `${title}, ${clients}`,
    about: `Like \`${name}\`, with ${clients}.${isHttp ? aboutHttp : ''}`,
    goLoad,
    settleMs,
    excludes: (system) => measure.excludes?.(system) ?? reasonToExclude(system, goLoad),
  };
}

function reasonToExclude({ frontEnd }: System, { sharesConnection }: GoLoad): string | undefined {
  if (sharesConnection && frontEnd !== 'grpc') return 'its front end is not gRPC';
  if (frontEnd === 'mtls' || frontEnd === 'http2') {
    return `the clients in Go do not support its front end (${frontEnd})`;
  }
  if (findProgram(goLoadProgram)) return undefined;
  return `${goLoadProgram} is not installed. Run: bench/peers/build-go-peers.sh load`;
}
