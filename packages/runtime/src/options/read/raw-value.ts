import type { OptionSource } from '../option-table.ts';

/** What someone wrote for an option, before its kind has read it. */
export interface RawValue {
  /** Each occurrence in order. */
  readonly texts: readonly string[];
  /** The texts are a list's items already; commas in them mean nothing. */
  readonly isItems: boolean;
  readonly source: Exclude<OptionSource, 'default'>;
  /** How a complaint names the place: `--agent-port`, `FAIRLEAD_AGENT_PORT`, `a.yaml:3: agent-port`. */
  readonly origin: string;
}

/** What one source says, by kebab-case option name. */
export type RawValues = ReadonlyMap<string, RawValue>;
