/**
 * systemd's notifications (sd_notify(3)): ready, reloading, stopping, a line for `systemctl status`, and signs of
 * life for its watchdog.
 *
 * They are datagrams on a Unix socket, which Node does not have, so that systemd's own systemd-notify sends them. To
 * systemd it is another process of the unit: NotifyAccess=all is needed.
 */
import { execFile } from 'node:child_process';
import type { Logger } from './logger.ts';

/** systemd-notify waits until systemd has read what it says; a systemd that is stuck is not waited for. */
const sendTimeoutMs = 5_000;

interface NotifyEnvironment {
  NOTIFY_SOCKET?: string | undefined;
  WATCHDOG_USEC?: string | undefined;
  WATCHDOG_PID?: string | undefined;
}

/** What is told goes out in order; nothing is told where nobody asks for it by NOTIFY_SOCKET. */
export class ServiceManager {
  readonly #logger: Logger;
  readonly #socket: string | undefined;
  /** Undefined without a watchdog. */
  readonly #keepAliveMs: number | undefined;
  #describe: () => string | undefined = () => undefined;
  #sent: Promise<void> = Promise.resolve();
  #isKeepAliveUnderWay = false;
  #hasFailed = false;
  #timer: NodeJS.Timeout | undefined;

  /** Takes what concerns it out of `env`: processes that this one starts have nothing to tell systemd. */
  constructor(logger: Logger, env: NotifyEnvironment = process.env) {
    this.#logger = logger;
    this.#socket = env.NOTIFY_SOCKET || undefined;
    this.#keepAliveMs = this.#socket === undefined ? undefined : keepAliveMs(env);
    delete env.NOTIFY_SOCKET;
    delete env.WATCHDOG_USEC;
    delete env.WATCHDOG_PID;
  }

  /**
   * The program does its work from now on.
   * @param describe says in a line what it is doing; asked again with every sign of life
   */
  ready(describe: () => string | undefined): void {
    this.#describe = describe;
    this.#send('READY=1', ...this.#status());
    if (this.#keepAliveMs === undefined) return;
    // A process whose event loop stands still sends none.
    this.#timer ??= setInterval(() => this.#keepAlive(), this.#keepAliveMs).unref();
  }

  /** Files are about to be read again; `reloaded` says that it is done. */
  reloading(): void {
    // CLOCK_MONOTONIC in microseconds, by which Type=notify-reload tells this reload from an earlier one.
    this.#send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  reloaded(): void {
    this.#send('READY=1', ...this.#status());
  }

  /** The program takes no new work and ends when the rest is done. */
  stopping(): void {
    this.#describe = () => undefined;
    this.#send('STOPPING=1', 'STATUS=Draining');
  }

  /** Resolves when everything has been told, or could not be. */
  async settled(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sent;
  }

  #status(): string[] {
    const text = this.#describe();
    return text === undefined ? [] : [`STATUS=${text}`];
  }

  /** Not queued behind one that hangs: there would be ever more of them. */
  #keepAlive(): void {
    if (this.#isKeepAliveUnderWay) return;
    this.#isKeepAliveUnderWay = true;
    this.#send('WATCHDOG=1', ...this.#status());
    void this.#sent.then(() => {
      this.#isKeepAliveUnderWay = false;
    });
  }

  #send(...assignments: readonly string[]): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#sent = this.#sent.then(() => this.#run(socket, assignments));
  }

  #run(socket: string, assignments: readonly string[]): Promise<void> {
    const env = { ...process.env, NOTIFY_SOCKET: socket };
    return new Promise((resolve) => {
      execFile('systemd-notify', assignments, { env, timeout: sendTimeoutMs }, (error) => {
        if (error) this.#onFailure(assignments, error);
        resolve();
      });
    });
  }

  #onFailure(assignments: readonly string[], error: Error): void {
    const detail = error.message.trim();
    // The first one tells it all; a watchdog would fill the log with the others.
    if (!this.#hasFailed) {
      this.#logger.warn(
        { assignments, detail },
        'systemd cannot be told: systemd-notify fails; it belongs on the PATH, and NotifyAccess=all in the unit',
      );
    }
    this.#hasFailed = true;
  }
}

/** Half of what systemd waits for, as sd_watchdog_enabled(3) advises; undefined where it does not wait for us. */
function keepAliveMs({ WATCHDOG_USEC, WATCHDOG_PID }: NotifyEnvironment): number | undefined {
  const microseconds = Number(WATCHDOG_USEC);
  if (!(microseconds > 0)) return undefined;
  if (WATCHDOG_PID && Number(WATCHDOG_PID) !== process.pid) return undefined;
  return microseconds / 2 / 1000;
}
