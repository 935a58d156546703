import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/**
 * Free loopback ports for programs that cannot bind port 0. The ports differ from each other. Another process can bind
 * one of them before the program does.
 */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  for (const server of servers) server.listen({ host: '127.0.0.1', port: 0 });
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
