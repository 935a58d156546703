/**
 * The process of `startBlackholeTarget`. It listens on the address and port in argv with the smallest
 * backlog, prints its port or its error on stdout, and blocks its event loop, so that it never accepts.
 */
import { writeSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';

const stdoutFd = 1;
const orphanCheckMs = 1000;

const server = createServer();
server.once('error', (error) => {
  writeSync(stdoutFd, error.message);
  process.exit(1);
});
server.listen({ host: process.argv[2], port: Number(process.argv[3]), backlog: 1 }, () => {
  writeSync(stdoutFd, `${(server.address() as AddressInfo).port}\n`);
  const parentPid = process.ppid;
  const never = new Int32Array(new SharedArrayBuffer(4));
  // A killed parent cannot end its children, so this process checks whether the parent lives.
  while (process.ppid === parentPid) Atomics.wait(never, 0, 0, orphanCheckMs);
  process.exit();
});
