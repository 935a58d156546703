/** The environment variable that makes a process a worker; its value is the worker's number. */
const VARIABLE = 'FAIRLEAD_SERVER_WORKER';

/** How to start this program again with the same arguments. A single-file executable needs no script. */
export function workerCommand(worker: number) {
  const { argv, argv0, env, execArgv, execPath } = process;
  const args = argv.slice(2);
  return {
    file: execPath,
    args: isSingleFile() ? args : [...execArgv, argv[1] ?? '', ...args],
    argv0,
    env: { ...env, [VARIABLE]: String(worker) },
  };
}

/** Whether a primary has started this process as a worker. */
export function isWorker(): boolean {
  return process.env[VARIABLE] !== undefined && process.send !== undefined;
}

function isSingleFile(): boolean {
  const sea = process.getBuiltinModule('node:sea') as { isSea(): boolean } | undefined;
  return sea?.isSea() ?? false;
}
