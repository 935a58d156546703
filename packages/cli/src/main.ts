/** The entry point of `fairlead`: finds the command that is asked for. */
import { type CommandSet, runNamedCommand } from './command-set.ts';

const fairlead: CommandSet = {
  program: 'fairlead',
  summary: 'Tools for those who run Fairlead',
  commands: {
    status: {
      summary: 'Show the agents of a running server',
      run: async (argv) => (await import('./status-command.ts')).runStatusCommand(argv),
    },
    why: {
      summary: 'Explain what a running server does with a target',
      run: async (argv) => (await import('./why-command.ts')).runWhyCommand(argv),
    },
    token: {
      summary: 'Make tokens by which agents join, list and revoke them',
      run: async (argv) => (await import('./token-command.ts')).runTokenCommand(argv),
    },
    issuer: {
      summary: 'Run the issuer: it gives certificates to agents that join with a token',
      run: async (argv) => (await import('./issuer-command.ts')).runIssuerCommand(argv),
    },
    pki: {
      summary: 'Make certificates for the server, its agents and its clients',
      // Loaded when asked for: node-forge is of no use to the other commands.
      run: async (argv) => (await import('./pki-command.ts')).runPkiCommand(argv),
    },
  },
};

await runNamedCommand(fairlead, process.argv.slice(2));
