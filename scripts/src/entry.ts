/** The entry point of the single executable: it is the program by whose name it was started. */
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';

const name = basename(process.argv0);

// For ps and top, where Node is called MainThread; process.title would take the arguments away as well.
try {
  writeFileSync('/proc/self/comm', name);
} catch {}

// Versions and platforms may follow the name: fairlead-server-0.1.0-linux-x64.
if (name.startsWith('fairlead-server')) void import('@fairlead/server/main');
else if (name.startsWith('fairlead-agent')) void import('@fairlead/agent/main');
else void import('@fairlead/cli/main');
