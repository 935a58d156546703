/** Runs docker-compose.yml under a separate project name and in separate networks. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { workspaceRoot } from '@fairlead/testkit';

const run = promisify(execFile);
const maxOutputBytes = 64 * 2 ** 20;

/** A command's output and exit code. */
export interface CommandResult {
  readonly code: number;
  /** stdout, then stderr. */
  readonly output: string;
}

/** The part of `docker inspect` that the tests read. */
export interface Container {
  readonly Name: string;
  readonly Config: { readonly User: string };
  readonly HostConfig: {
    readonly ReadonlyRootfs: boolean;
    readonly CapDrop: readonly string[] | null;
    readonly SecurityOpt: readonly string[] | null;
    readonly Privileged: boolean;
  };
  readonly State: {
    readonly Status: string;
    readonly ExitCode: number;
    readonly OOMKilled: boolean;
    readonly Health?: { readonly Status: string };
  };
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>>;
  };
}

/** Why docker-compose.yml cannot run on this machine, or undefined. */
export async function dockerSkipReason(): Promise<string | undefined> {
  const notTested = 'docker-compose.yml was not tested';
  try {
    await run('docker', ['info']);
  } catch {
    return `no Docker engine answers (see DOCKER_HOST): ${notTested}`;
  }
  return (await findCompose()) ? undefined : `docker compose is missing: ${notTested}`;
}

/** `docker compose` if the plugin is installed, else Debian's docker-compose 1.29. */
async function findCompose(): Promise<readonly string[] | undefined> {
  for (const command of [['docker', 'compose'], ['docker-compose']]) {
    const [file = '', ...args] = command;
    const answers = await run(file, [...args, 'version']).then(
      () => true,
      () => false,
    );
    if (answers) return command;
  }
  return undefined;
}

const namePrefix = 'fairlead-test-';

/** A running project. Call `down` at the end. */
export class ComposeProject {
  readonly name: string;
  /** The first two octets of the nodes' networks, which differ from the demo's and from those of other runs. */
  readonly networkPrefix: string;
  /** The command for `docker compose` on this machine. */
  readonly #command: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #followers = new Set<ChildProcess>();

  private constructor(pid: number, command: readonly string[]) {
    this.name = `${namePrefix}${pid}`;
    this.networkPrefix = `10.${100 + (pid % 100)}`;
    this.#command = command;
    const [nodeA, nodeB] = [`${this.networkPrefix}.1`, `${this.networkPrefix}.2`];
    this.#env = {
      ...process.env,
      COMPOSE_PROJECT_NAME: this.name,
      FAIRLEAD_TAG: 'test',
      FAIRLEAD_BUILD_NETWORK: process.env.FAIRLEAD_BUILD_NETWORK ?? 'host',
      TRAFFIC_INTERVAL_MS: '100',
      NODE_A_NETWORK: `${nodeA}.0/24`,
      NODE_A_KUBELET: `${nodeA}.10`,
      NODE_A_POD: `${nodeA}.20`,
      NODE_B_NETWORK: `${nodeB}.0/24`,
      NODE_B_KUBELET: `${nodeB}.10`,
      NODE_B_POD: `${nodeB}.20`,
    };
  }

  /**
   * The project of this process. Removes the projects of runs that were killed.
   * @throws Error if compose is missing (see `dockerSkipReason`)
   */
  static async create(): Promise<ComposeProject> {
    const command = await findCompose();
    if (!command) throw new Error('there is no docker compose');
    for (const pid of await projectPids()) {
      if (!isRunning(pid)) await new ComposeProject(pid, command).down();
    }
    return new ComposeProject(process.pid, command);
  }

  /** The command for `docker compose`, and the first line of its version. */
  async version(): Promise<string> {
    const version = await this.compose('version');
    return `\`${this.#command.join(' ')}\`, ${version.split('\n')[0]}`;
  }

  /** Runs `docker compose ARGS`. If it fails, rejects with its output. */
  async compose(...args: string[]): Promise<string> {
    const { code, output } = await this.tryCompose(...args);
    if (code !== 0) throw new Error(`compose ${args.join(' ')}: exit code ${code}\n${output}`);
    return output;
  }

  /** Runs `docker compose ARGS`, which can fail. */
  tryCompose(...args: string[]): Promise<CommandResult> {
    const [file = '', ...before] = this.#command;
    return this.#run(file, [...before, ...args]);
  }

  /** The containers of the services, in the same order. */
  async inspect(...services: string[]): Promise<Container[]> {
    const ids: string[] = [];
    for (const service of services) {
      const { stdout } = await run('docker', ['ps', '-aq', ...this.#filters(service)]);
      ids.push(...stdout.split('\n').filter((id) => id !== ''));
    }
    if (ids.length !== services.length) {
      throw new Error(`${services.join(', ')}: ${ids.length} containers`);
    }
    const { stdout } = await run('docker', ['inspect', ...ids]);
    return JSON.parse(stdout) as Container[];
  }

  /** Names of the project's containers, networks and volumes. */
  async leftovers(): Promise<string[]> {
    const label = `label=com.docker.compose.project=${this.name}`;
    const listings = await Promise.all(
      [
        ['ps', '-a', '--format', '{{.Names}}'],
        ['network', 'ls', '--format', '{{.Name}}'],
        ['volume', 'ls', '--format', '{{.Name}}'],
      ].map((args) => run('docker', [...args, '--filter', label])),
    );
    return listings.flatMap(({ stdout }) => stdout.split('\n').filter((line) => line !== ''));
  }

  /** Kills a service's container with SIGKILL. */
  async kill(service: string): Promise<void> {
    const { stdout } = await run('docker', ['ps', '-q', ...this.#filters(service)]);
    await run('docker', ['kill', stdout.trim()]);
  }

  /** Runs a script with Node in a service's container. Rejects if it fails. */
  async runNode(service: string, script: string, ...args: string[]): Promise<string> {
    const { stdout } = await run('docker', ['ps', '-q', ...this.#filters(service)]);
    const answer = await run('docker', [
      'exec',
      stdout.trim(),
      'node',
      '--input-type=module',
      '-e',
      script,
      '--',
      ...args,
    ]);
    return answer.stdout;
  }

  /** The service's log lines from now on, until the iteration or the project ends. */
  async *follow(service: string): AsyncGenerator<string, void, void> {
    const { stdout } = await run('docker', ['ps', '-q', ...this.#filters(service)]);
    const follower = spawn('docker', ['logs', '--follow', '--tail=0', stdout.trim()], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#followers.add(follower);
    try {
      yield* createInterface({ input: follower.stdout });
    } finally {
      follower.kill();
      this.#followers.delete(follower);
    }
  }

  /** Removes everything, including the certificates. */
  async down(): Promise<void> {
    for (const follower of this.#followers) follower.kill();
    await this.compose('--profile=client', '--profile=load', 'down', '--volumes', '--timeout=30');
  }

  #filters(service: string): string[] {
    return [
      `--filter=label=com.docker.compose.project=${this.name}`,
      `--filter=label=com.docker.compose.service=${service}`,
      '--filter=label=com.docker.compose.oneoff=False',
    ];
  }

  async #run(file: string, args: readonly string[]): Promise<CommandResult> {
    try {
      const { stdout, stderr } = await run(file, args, {
        cwd: workspaceRoot,
        env: this.#env,
        maxBuffer: maxOutputBytes,
      });
      return { code: 0, output: stdout + stderr };
    } catch (error) {
      const {
        code,
        stdout = '',
        stderr = '',
      } = error as {
        code?: unknown;
        stdout?: string;
        stderr?: string;
      };
      if (typeof code !== 'number') throw error;
      return { code, output: stdout + stderr };
    }
  }
}

/** The processes whose projects have networks or containers. */
async function projectPids(): Promise<ReadonlySet<number>> {
  const format = '{{.Label "com.docker.compose.project"}}';
  const listings = await Promise.all([
    run('docker', ['network', 'ls', '--format', format]),
    run('docker', ['ps', '-a', '--format', format]),
  ]);
  const names = listings.flatMap(({ stdout }) => stdout.split('\n'));
  const ours = names.filter((name) => name.startsWith(namePrefix));
  return new Set(ours.map((name) => Number(name.slice(namePrefix.length))));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
