/**
 * Notifies systemd (sd_notify(3)): ready, reloading, stopping, a line for `systemctl status`, and keep-alives for
 * its watchdog.
 *
 * The notifications are datagrams on a Unix socket, which Node does not support, so systemd-notify sends them.
 * It is another process of the unit, so the unit needs NotifyAccess=all.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Logger } from './logger.ts';

const runFile = promisify(execFile);

/** systemd-notify waits until systemd has read the notification. */
const sendTimeoutMs = 5_000;

/** Sends notifications in order; none without NOTIFY_SOCKET. */
export class ServiceManager {
  readonly #logger: Logger;
  readonly #socket: string | undefined;
  /** Undefined without a watchdog. */
  readonly #keepAliveMs: number | undefined;
  #describe: () => string | undefined = () => undefined;
  #sent: Promise<void> = Promise.resolve();
  #isKeepAlivePending = false;
  #hasFailed = false;
  #timer: NodeJS.Timeout | undefined;

  /** Removes its variables from `env`, since child processes must not notify systemd. */
  constructor(logger: Logger, env: NodeJS.ProcessEnv = process.env) {
    this.#logger = logger;
    this.#socket = env.NOTIFY_SOCKET || undefined;
    this.#keepAliveMs = this.#socket === undefined ? undefined : keepAliveMs(env);
    delete env.NOTIFY_SOCKET;
    delete env.WATCHDOG_USEC;
    delete env.WATCHDOG_PID;
  }

  /**
   * Reports that the program is ready.
   * @param describe one line of status; called again for each keep-alive
   */
  ready(describe: () => string | undefined): void {
    this.#describe = describe;
    this.#send('READY=1', ...this.#status());
    if (this.#keepAliveMs === undefined) return;
    // A blocked event loop sends none.
    this.#timer ??= setInterval(() => this.#keepAlive(), this.#keepAliveMs).unref();
  }

  /** Reports the start of a reload; `reloaded` reports its end. */
  reloading(): void {
    // CLOCK_MONOTONIC in microseconds; Type=notify-reload distinguishes reloads by it.
    this.#send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  reloaded(): void {
    this.#send('READY=1', ...this.#status());
  }

  stopping(): void {
    this.#describe = () => undefined;
    this.#send('STOPPING=1', 'STATUS=Draining');
  }

  /** Resolves when all notifications are sent or have failed. */
  async settled(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sent;
  }

  #status(): string[] {
    const text = this.#describe();
    return text === undefined ? [] : [`STATUS=${text}`];
  }

  /** Skipped while another one is pending: if systemd-notify hangs, they must not pile up. */
  #keepAlive(): void {
    if (this.#isKeepAlivePending) return;
    this.#isKeepAlivePending = true;
    this.#send('WATCHDOG=1', ...this.#status());
    void this.#sent.then(() => {
      this.#isKeepAlivePending = false;
    });
  }

  #send(...assignments: readonly string[]): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#sent = this.#sent.then(() => this.#run(socket, assignments));
  }

  async #run(socket: string, assignments: readonly string[]): Promise<void> {
    const env = { ...process.env, NOTIFY_SOCKET: socket };
    try {
      await runFile('systemd-notify', assignments, { env, timeout: sendTimeoutMs });
    } catch (error) {
      this.#onFailure(assignments, error as Error);
    }
  }

  #onFailure(assignments: readonly string[], error: Error): void {
    const detail = error.message.trim();
    // Once only: a watchdog would repeat it all the time.
    if (!this.#hasFailed) {
      this.#logger.warn(
        { assignments, detail },
        'cannot notify systemd: systemd-notify failed. Check that it is on the PATH and that the unit has NotifyAccess=all',
      );
    }
    this.#hasFailed = true;
  }
}

/** Half of systemd's timeout, as sd_watchdog_enabled(3) advises; undefined if it does not watch this process. */
function keepAliveMs({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | undefined {
  const microseconds = Number(WATCHDOG_USEC);
  if (!(microseconds > 0)) return undefined;
  if (WATCHDOG_PID && Number(WATCHDOG_PID) !== process.pid) return undefined;
  return microseconds / 2 / 1000;
}
