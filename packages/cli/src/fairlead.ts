import { type CommandSet, runNamedCommand } from './command-set.ts';

const fairlead: CommandSet = {
  program: 'fairlead',
  summary: 'Tools for operators of Fairlead',
  helpsIfBare: true,
  commands: {
    status: {
      summary: 'Show the agents of a running server',
      run: async (argv) => (await import('./admin/status-command.ts')).runStatusCommand(argv),
    },
    why: {
      summary: 'Explain what a running server does with a target',
      run: async (argv) => (await import('./admin/why-command.ts')).runWhyCommand(argv),
    },
    token: {
      summary: 'Create, list and revoke the tokens that agents join with',
      run: async (argv) => (await import('./token/token-command.ts')).runTokenCommand(argv),
    },
    issuer: {
      summary: 'Run the issuer, which signs certificates for agents that join with a token',
      run: async (argv) => (await import('./issuer-command.ts')).runIssuerCommand(argv),
    },
    forward: {
      summary: 'Make a target reachable on a local port, through a running server',
      run: async (argv) => (await import('./forward/forward-command.ts')).runForwardCommand(argv),
    },
    bench: {
      summary: 'Put load on a target through a running server, and measure',
      run: async (argv) => (await import('./bench/bench-command.ts')).runBenchCommand(argv),
    },
    'bench-target': {
      summary: 'Run a target for fairlead bench',
      run: async (argv) =>
        (await import('./bench/bench-target-command.ts')).runBenchTargetCommand(argv),
    },
    pki: {
      summary: 'Make certificates for the server, its agents and its clients',
      // Loaded on demand: the other commands do not need node-forge.
      run: async (argv) => (await import('./pki/pki-command.ts')).runPkiCommand(argv),
    },
  },
};

/**
 * Runs the command that the arguments name. It prints on stdout and stderr, and sets `process.exitCode`.
 * @param argv the arguments after the program's name
 */
export function runFairlead(argv: readonly string[]): Promise<void> {
  return runNamedCommand(fairlead, [...argv]);
}
