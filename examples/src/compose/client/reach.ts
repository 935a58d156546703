/** Checks what this container can dial without the tunnel. */
import { connect } from 'node:net';
import { type Network, targetPorts } from '../network.ts';

const dialTimeoutMs = 2000;

/**
 * Checks that no address answers. The default is all targets of the nodes, by name and by address.
 *
 * @throws Error that names the addresses that answer
 */
export async function checkApart(addresses: readonly string[], network: Network): Promise<void> {
  const asked = addresses.length > 0 ? addresses : targetsOf(network);
  const outcomes = await dialAll('apart', asked);
  const reached = asked.filter((_, index) => outcomes[index] === 'reached');
  if (reached.length > 0) throw new Error(`${reached.join(', ')}: reachable without the tunnel`);
}

/** @throws Error that names the addresses that do not answer */
export async function checkReached(addresses: readonly string[]): Promise<void> {
  const outcomes = await dialAll('reach', addresses);
  const missed = addresses.filter((_, index) => outcomes[index] !== 'reached');
  if (missed.length > 0) throw new Error(`${missed.join(', ')}: not reachable`);
}

async function dialAll(command: string, addresses: readonly string[]): Promise<string[]> {
  const outcomes = await Promise.all(addresses.map(dial));
  outcomes.forEach((outcome, index) => {
    console.log(`${command} ${addresses[index]}: ${outcome}`);
  });
  return outcomes;
}

function targetsOf({ nodes }: Network): string[] {
  return nodes.flatMap(({ name, podAddress }) => [
    `${name}:${targetPorts.kubelet}`,
    `${podAddress}:${targetPorts.pod}`,
    `${podAddress}:${targetPorts.echo}`,
  ]);
}

/** @returns `reached`, or the error code */
function dial(address: string): Promise<string> {
  const colon = address.lastIndexOf(':');
  const socket = connect({
    host: address.slice(0, colon),
    port: Number(address.slice(colon + 1)),
    // For a name with several addresses, the code is that of the last address.
    timeout: dialTimeoutMs,
  });
  return new Promise((resolve) => {
    socket.once('connect', () => resolve('reached'));
    socket.once('timeout', () => resolve('ETIMEDOUT'));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  }).then((outcome) => {
    socket.destroy();
    return outcome as string;
  });
}
