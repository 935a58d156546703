/** docker-compose.yml, brought up for real under a project name and networks of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { workspaceRoot } from '@fairlead/testkit';

const run = promisify(execFile);
const maxOutputBytes = 64 * 2 ** 20;

/** What a command said and how it ended. */
export interface CommandResult {
  readonly code: number;
  /** stdout and stderr, one behind the other. */
  readonly output: string;
}

/** What `docker inspect` says of a container, as far as it is asked here. */
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

/** Why nothing can be tried here, or undefined when an engine and compose answer. */
export async function whyNoDocker(): Promise<string | undefined> {
  const nothingTried = 'NOTHING OF docker-compose.yml WAS TRIED';
  try {
    await run('docker', ['info']);
  } catch {
    return `NO Docker ENGINE ANSWERS HERE (see DOCKER_HOST): ${nothingTried}`;
  }
  return (await findCompose()) ? undefined : `THERE IS NO docker compose HERE: ${nothingTried}`;
}

/** `docker compose` where the plugin is, or else Debian's docker-compose 1.29. */
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

/** One project; `down` must be called at the end. */
export class ComposeProject {
  readonly name: string;
  /** What `docker compose` is here. */
  readonly #command: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #followers = new Set<ChildProcess>();

  private constructor(name: string, command: readonly string[]) {
    this.name = name;
    this.#command = command;
    this.#env = {
      ...process.env,
      COMPOSE_PROJECT_NAME: name,
      FAIRLEAD_TAG: 'test',
      FAIRLEAD_BUILD_NETWORK: process.env.FAIRLEAD_BUILD_NETWORK ?? 'host',
      TRAFFIC_INTERVAL_MS: '100',
      // Works beside a demo that is still running.
      NODE_A_NETWORK: '10.211.1.0/24',
      NODE_A_KUBELET: '10.211.1.10',
      NODE_A_POD: '10.211.1.20',
      NODE_B_NETWORK: '10.211.2.0/24',
      NODE_B_KUBELET: '10.211.2.10',
      NODE_B_POD: '10.211.2.20',
    };
  }

  /** @throws Error when there is no compose (see `whyNoDocker`) */
  static async create(name: string): Promise<ComposeProject> {
    const command = await findCompose();
    if (!command) throw new Error('there is no docker compose');
    return new ComposeProject(name, command);
  }

  /** What `docker compose` is here: its command and first line of version. */
  async version(): Promise<string> {
    const version = await this.compose('version');
    return `\`${this.#command.join(' ')}\`, ${version.split('\n')[0]}`;
  }

  /** Runs `docker compose ARGS`. Rejects, with what it said, when that fails. */
  async compose(...args: string[]): Promise<string> {
    const { code, output } = await this.tryCompose(...args);
    if (code !== 0) throw new Error(`compose ${args.join(' ')}: exit code ${code}\n${output}`);
    return output;
  }

  /** The same for what may fail. */
  tryCompose(...args: string[]): Promise<CommandResult> {
    const [file = '', ...before] = this.#command;
    return this.#run(file, [...before, ...args]);
  }

  /** The containers of the services, in their order. */
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

  /** Names of all that there is of this project: containers, networks, volumes. */
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

  /** SIGKILL to a service's container. */
  async kill(service: string): Promise<void> {
    const { stdout } = await run('docker', ['ps', '-q', ...this.#filters(service)]);
    await run('docker', ['kill', stdout.trim()]);
  }

  /** Runs a script in a service's container. Rejects when that fails. */
  async node(service: string, script: string, ...args: string[]): Promise<string> {
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

  /** Ends everything, certificates included. */
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
