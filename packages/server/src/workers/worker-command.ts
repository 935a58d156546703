/** The environment variable that makes a process a worker; its value is the worker's number. */
const VARIABLE = 'FAIRLEAD_SERVER_WORKER';

/** How this program is started once more. */
export interface WorkerCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly argv0: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The same program with the same arguments: from a script by node, from a single-file executable by itself,
 * which takes no script.
 */
export function workerCommand(worker: number): WorkerCommand {
  const { argv, argv0, env, execArgv, execPath } = process;
  const args = argv.slice(2);
  return {
    file: execPath,
    args: isSingleFile() ? args : [...execArgv, argv[1] ?? '', ...args],
    argv0,
    env: { ...env, [VARIABLE]: String(worker) },
  };
}

/** Whether this process was started as a worker, and has somebody to tell it what to do. */
export function isWorker(): boolean {
  return process.env[VARIABLE] !== undefined && process.send !== undefined;
}

function isSingleFile(): boolean {
  const sea = process.getBuiltinModule('node:sea') as { isSea(): boolean } | undefined;
  return sea?.isSea() ?? false;
}
