import type { ServerStatus } from '@fairlead/server';

const maxLines = 5;

/** One line for each agent that was refused lately. An older server reports none. */
export function refusalLines(title: string, refusals: ServerStatus['refusals'] = []): string[] {
  return refusals.slice(0, maxLines).map(({ at, name, address, reason }) => {
    const who = name === null ? address : `${name} at ${address}`;
    return `${title}${at} ${who}: ${reason}`;
  });
}
