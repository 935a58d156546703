/**
 * The process behind `startBlackholeTarget`: listens on the address and port in argv with the smallest
 * backlog, reports its port (or what failed) on stdout, and never accepts, because its event loop never turns
 * again.
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
  // A killed parent cannot close its children: look whether it is still there.
  while (process.ppid === parentPid) Atomics.wait(never, 0, 0, orphanCheckMs);
  process.exit();
});
