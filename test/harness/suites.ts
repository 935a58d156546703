import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** A named set of test files that run in one way. */
export interface Suite {
  /** What the suite proves, in one line. */
  readonly purpose: string;
  /** Folders that hold the suite's files, and single files, from the repository root. */
  readonly folders: readonly string[];
  /** How many files run at once. */
  readonly jobs: number;
  /** How long one file can take, in seconds. A busy machine must not reach it. */
  readonly fileTimeoutS: number;
  /** What the machine must have; without it the suite is skipped with this reason. */
  readonly missing?: () => string | undefined;
  /** An npm script, with arguments, that must succeed before the files run. */
  readonly prepare?: readonly string[];
  /** Variables for the suite's files. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One file more than there are processors: the tests often wait for sockets and processes. */
const oneMoreThanCores = availableParallelism() + 1;

/** The reason if the command cannot be run or fails. */
function lacks(command: string, args: readonly string[], reason: string): string | undefined {
  try {
    execFileSync(command, args, { stdio: 'ignore', timeout: 30_000 });
    return undefined;
  } catch {
    return reason;
  }
}

export const suites = {
  main: {
    purpose: 'unit tests of every package and the main paths from end to end',
    folders: ['packages/*/test', 'test/e2e', 'test/examples', 'test/harness'],
    jobs: oneMoreThanCores,
    fileTimeoutS: 300,
  },
  programs: {
    purpose: 'the programs as processes: start, mistakes, signals, load, every transport in depth',
    folders: ['test/programs', 'test/transports', 'bench/test'],
    jobs: oneMoreThanCores,
    fileTimeoutS: 300,
  },
  ha: {
    purpose: 'several servers, agents and workers that restart, freeze or die',
    folders: ['test/ha'],
    jobs: oneMoreThanCores,
    fileTimeoutS: 300,
  },
  security: {
    purpose: 'what hostile peers try, and how credentials change while streams run',
    folders: ['test/security'],
    jobs: oneMoreThanCores,
    fileTimeoutS: 300,
  },
  attacks: {
    purpose: 'floods against real programs, and a short round of fuzzing',
    folders: ['test/floods', 'test/fuzz'],
    jobs: 1,
    fileTimeoutS: 2_400,
  },
  docs: {
    purpose: 'commands in the documentation, manifests, dashboards, and the structure of the code',
    folders: ['test/docs', 'test/deploy', 'test/install', 'test/house'],
    jobs: oneMoreThanCores,
    fileTimeoutS: 300,
  },
  clone: {
    purpose: "README's commands in a fresh clone",
    folders: ['test/clone'],
    jobs: 1,
    fileTimeoutS: 1_500,
  },
  interop: {
    purpose: 'real Konnectivity, built from its Go module',
    folders: ['test/interop'],
    jobs: 1,
    fileTimeoutS: 900,
    missing: () => lacks('go', ['version'], 'there is no Go on this machine'),
  },
  compose: {
    purpose: 'docker-compose.yml, built and run',
    folders: ['test/compose'],
    jobs: 1,
    // It builds the images, which installs the packages four times.
    fileTimeoutS: 1_200,
    missing: () => lacks('docker', ['info'], 'no Docker engine answers (see DOCKER_HOST)'),
  },
  binaries: {
    purpose: 'single-file binaries and the Debian package',
    folders: [
      'test/binaries',
      'test/programs',
      'packages/cli/test/main.test.ts',
      'packages/cli/test/pki/pki-command.test.ts',
    ],
    jobs: 1,
    fileTimeoutS: 300,
    missing: () =>
      process.platform === 'linux' && process.arch === 'x64'
        ? undefined
        : 'binaries are built and tried on Linux, x64',
    prepare: ['build:binaries', '--platform=linux-x64'],
    env: { FAIRLEAD_BIN_DIR: 'dist-binaries/linux-x64' },
  },
} as const satisfies Record<string, Suite>;

export type SuiteName = keyof typeof suites;
export const suiteNames = Object.keys(suites) as SuiteName[];
