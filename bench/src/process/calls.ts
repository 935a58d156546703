/** Calls from the bench to its child processes over Node's IPC channel. */

export interface Call {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

/** The calls that a child process serves, by name. */
export type CallHandlers = Record<string, (argument: never) => unknown>;

/** Serves calls. Exits when the parent process ends. */
export function serveCalls(handlers: CallHandlers): void {
  process.on('message', async ({ id, name, argument }: Call) => {
    let answer: Answer;
    try {
      const handler = handlers[name];
      if (!handler) throw new Error(`no such call: ${name}`);
      answer = { id, result: await handler(argument as never) };
    } catch (error) {
      answer = { id, error: (error as Error).message };
    }
    process.send?.(answer);
  });
  process.on('disconnect', () => process.exit());
}
