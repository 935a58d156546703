import { createLogger, type Logger } from '@fairlead/runtime/process';

export type LogLine = Readonly<Record<string, unknown>>;

/** A logger that keeps its lines in memory as objects. */
export function memoryLogger(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const logger = createLogger('trace', { write: (line) => void lines.push(JSON.parse(line)) });
  return { logger, lines };
}
