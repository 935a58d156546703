/** The entry point of the single executable. The name it was started with selects the program. */
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';

const name = basename(process.argv0);

// ps and top show this name instead of MainThread. process.title would also remove the arguments.
try {
  writeFileSync('/proc/self/comm', name);
} catch {}

// The name can have a suffix: fairlead-server-0.1.0-linux-x64.
if (name.startsWith('fairlead-server')) void import('@fairlead/server/main');
else if (name.startsWith('fairlead-agent')) {
  // As in packages/agent/bin/fairlead-agent.js.
  process.env.UV_THREADPOOL_SIZE ??= '64';
  void import('@fairlead/agent/main');
} else void import('@fairlead/cli/main');
