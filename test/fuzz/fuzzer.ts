import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Coverage } from './coverage.ts';
import { mutate, randomOf } from './mutate.ts';

/** The code under test. */
export interface FuzzTarget {
  readonly name: string;
  /** The first inputs of the corpus; the others are in files. */
  readonly seeds: readonly Buffer[];
  /** Byte sequences that random mutations are unlikely to find. */
  readonly words?: readonly Buffer[];
  /** Throws if the input reveals a bug. */
  run(input: Buffer): void | Promise<void>;
}

/** An input that found a bug. */
export class FuzzFailure extends Error {
  readonly input: Buffer;

  constructor(target: FuzzTarget, input: Buffer, cause: unknown) {
    const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    super(`${target.name} fails for ${input.toString('hex')} (hex)\n${text}`, { cause });
    this.input = input;
  }
}

export interface FuzzResult {
  readonly executions: number;
  /** Inputs that reached new code. */
  readonly found: readonly Buffer[];
  /** Characters of our code that ran. */
  readonly coveredChars: number;
}

/** Number of inputs between two checks of the coverage. */
const batchSize = 16;

const root = join(import.meta.dirname, '../../..', 'test/fuzz/corpus');

/** The corpus of a target: its seeds, and files from earlier runs. */
export function corpusOf({ name, seeds }: FuzzTarget): Buffer[] {
  const directory = join(root, name);
  const files = existsSync(directory) ? readdirSync(directory).sort() : [];
  return [...seeds, ...files.map((file) => readFileSync(join(directory, file)))];
}

/** Adds an input to the corpus. The file name is a hash of the input. */
export function keep({ name }: FuzzTarget, input: Buffer): void {
  const file = createHash('sha256').update(input).digest('hex').slice(0, 16);
  mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(root, name, file), input);
}

/**
 * Mutates the corpus, and adds mutants that reach new code to it.
 * @param until called before each batch with the number of executions; true ends the run
 * @throws FuzzFailure
 */
export async function fuzz(
  target: FuzzTarget,
  seed: number,
  until: (executions: number) => boolean,
): Promise<FuzzResult> {
  const random = randomOf(seed);
  const corpus = corpusOf(target);
  const found: Buffer[] = [];
  const coverage = new Coverage();
  let executions = 0;
  const run = async (input: Buffer) => {
    executions += 1;
    try {
      // A copy, since a target can keep or change its input.
      await target.run(Buffer.from(input));
    } catch (error) {
      throw new FuzzFailure(target, input, error);
    }
  };
  try {
    for (const input of corpus) await run(input);
    coverage.hasNew();
    while (!until(executions)) {
      const pick = () => corpus[random(corpus.length)]!;
      const batch = Array.from({ length: batchSize }, () =>
        mutate(pick(), pick(), target.words ?? [], random),
      );
      for (const input of batch) await run(input);
      if (!coverage.hasNew(false)) continue;
      for (const input of batch) {
        await run(input);
        if (!coverage.hasNew()) continue;
        corpus.push(input);
        found.push(input);
      }
    }
    return { executions, found, coveredChars: coverage.size };
  } finally {
    coverage.close();
  }
}
