import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Answer, Call } from './calls.ts';

const defaultTimeoutMs = 30_000;

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A child process of the bench (load generator, target, link, agents) that serves calls. */
export class Worker {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid!;
    child.on('message', (answer: Answer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ('error' in answer) waiting?.reject(new Error(answer.error));
      else waiting?.resolve(answer.result);
    });
    child.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`a process of the bench ended with ${signal ?? `exit code ${code}`}`));
      }
      this.#waiting.clear();
    });
  }

  /**
   * @param entry the module that the child runs
   * @param options.execPath the node binary; the default is this process's
   */
  static async start(entry: URL, options: { readonly execPath?: string } = {}): Promise<Worker> {
    const child = fork(entry, [], {
      ...options,
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Structured clone. JSON would turn Infinity, the percentile without samples, into null.
      serialization: 'advanced',
    });
    await once(child, 'spawn');
    return new Worker(child);
  }

  /** @param command a program that is not Node: calls and answers are lines of JSON on its NODE_CHANNEL_FD */
  static async startProgram(command: string): Promise<Worker> {
    const child = spawn(command, [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'json',
    });
    await once(child, 'spawn');
    return new Worker(child);
  }

  /** @throws Error of the child, or if the child ends or does not answer within `timeoutMs` */
  call<Result>(name: string, argument?: unknown, timeoutMs = defaultTimeoutMs): Promise<Result> {
    const id = this.#nextId++;
    return new Promise<Result>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`${name}: no answer within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#waiting.set(id, {
        resolve: (result) => {
          clearTimeout(timer);
          resolve(result as Result);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      const call: Call = { id, name, argument };
      this.#child.send(call, (error) => {
        if (error) this.#waiting.get(id)?.reject(error);
      });
    });
  }

  /** Kills the child. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
