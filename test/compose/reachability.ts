import type { ComposeProject } from './compose-project.ts';

/** Dials each address in its arguments, and prints `reached` or an error code for each as JSON. */
const dialScript = `
import { connect } from 'node:net';
const dial = (address) => new Promise((resolve) => {
  const colon = address.lastIndexOf(':');
  const socket = connect({ host: address.slice(0, colon), port: +address.slice(colon + 1), timeout: 1500 });
  const done = (outcome) => { socket.destroy(); resolve(outcome); };
  socket.once('connect', () => done('reached'));
  socket.once('timeout', () => done('ETIMEDOUT'));
  socket.once('error', (error) => done(error.code));
});
console.log(JSON.stringify(await Promise.all(process.argv.slice(1).map(dial))));
`;

/** The addresses that a service's container can dial. */
export async function reachedFrom(
  project: ComposeProject,
  service: string,
  addresses: readonly string[],
): Promise<string[]> {
  const outcomes = JSON.parse(await project.runNode(service, dialScript, ...addresses)) as string[];
  return addresses.filter((_, index) => outcomes[index] === 'reached');
}
