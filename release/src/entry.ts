/** The entry point of the single executable: it is the program by whose name it was started. */
import cluster from 'node:cluster';
import { basename } from 'node:path';

/** Where a worker finds the name of its program: cluster starts it by the executable's own name. */
const programVariable = 'FAIRLEAD_EXECUTABLE_AS';

if (cluster.isWorker) {
  // Where node has the path of a script, a worker of a single executable has one path too many.
  const extra = process.argv.indexOf(process.execPath, 2);
  if (extra === 2) process.argv.splice(extra, 1);
}

const name =
  (cluster.isWorker ? process.env[programVariable] : undefined) ?? basename(process.argv0);
process.env[programVariable] = name;

// Versions and platforms may follow the name: fairlead-server-0.1.0-linux-x64.
if (name.startsWith('fairlead-server')) void import('@fairlead/server/main');
else if (name.startsWith('fairlead-agent')) void import('@fairlead/agent/main');
else void import('@fairlead/cli/main');
