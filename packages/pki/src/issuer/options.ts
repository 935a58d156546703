import {
  checkDistinctPorts,
  configOptions,
  defineOptions,
  kinds,
  logOptions,
  type OptionsOf,
  option,
  reloadOptions,
  warnOfLogDestination,
} from '@fairlead/runtime/options';
import { checkTokenStoreOptions, tokenStoreOptions } from './tokens/token-store-options.ts';

const enrollment = 'Enrollment port (where agents request certificates)';
const signing = 'Signing';
const limits = 'Deadlines and limits';
const health = 'Health and metrics';

export const issuerOptions = defineOptions({
  program: 'fairlead issuer',
  summary: 'fairlead issuer: issues certificates to agents that join with a token, and renews them',
  examples: ['fairlead issuer --config issuer.yaml'],
  options: {
    ...configOptions,

    'enrollment-port': option(kinds.listenPort, {
      group: enrollment,
      alias: 'enrolment-port',
      description: 'Port at which agents request certificates; 0 lets the system pick one',
      default: 8096,
    }),
    'enrollment-bind-address': option(kinds.host, {
      group: enrollment,
      alias: 'enrolment-bind-address',
      description: 'Address on which --enrollment-port listens',
      defaultText: 'all',
    }),
    'server-cert': option(kinds.filePath, {
      group: enrollment,
      description: 'Certificate (PEM) of the enrollment port, signed by --ca-cert',
      required: true,
    }),
    'server-key': option(kinds.filePath, {
      group: enrollment,
      description: 'Private key (PEM) of --server-cert',
      required: true,
    }),

    'ca-cert': option(kinds.filePath, {
      group: signing,
      description:
        "CA certificates (PEM) that agents and the servers' --cluster-ca-cert trust; the issuer does not need their keys",
      required: true,
    }),
    'issuer-cert': option(kinds.filePath, {
      group: signing,
      description: 'Certificate (PEM) of the intermediate CA that signs for agents',
      required: true,
    }),
    'issuer-key': option(kinds.filePath, {
      group: signing,
      description: 'Private key (PEM) of --issuer-cert',
      required: true,
    }),
    'certificate-lifetime': option(kinds.duration({ minMs: 1000, maxMs: 3650 * 86_400_000 }), {
      group: signing,
      description:
        "Lifetime of agents' certificates; agents renew them after 60 to 70 % of it. An agent whose certificate expired while it was away needs a new token",
      default: 30 * 86_400_000,
    }),
    'agent-denylist': option(kinds.filePath, {
      group: signing,
      description:
        "File of agent certificates that are not renewed, with lines serial:HEX, sha256:HEX, cn:NAME or enrollment:ID; the servers' --agent-denylist can be used",
    }),

    ...tokenStoreOptions,

    'request-timeout': option(kinds.duration({ minMs: 1 }), {
      group: limits,
      description: 'Time limit of a connection, from TCP to the end of the answer',
      default: 10_000,
    }),
    'max-connections': option(kinds.integer(1, 100_000), {
      group: limits,
      description: 'Most connections at once; if there are more, the oldest one is closed',
      default: 256,
    }),
    'max-requests-per-second': option(kinds.integer(1, 100_000), {
      group: limits,
      description:
        'Most requests a second, with bursts of twice as many; a fifth of both for one source address; with --token-namespace each request sends the Kubernetes API up to three',
      default: 50,
    }),

    'health-port': option(kinds.listenPort, {
      group: health,
      description: 'Port of /healthz, /readyz and /metrics; 0 lets the system pick one',
      default: 8097,
    }),
    'health-bind-address': option(kinds.host, {
      group: health,
      description: 'Address on which --health-port listens',
      defaultText: 'all',
    }),

    ...reloadOptions,

    ...logOptions,
  },

  check(options, { warn }) {
    checkTokenStoreOptions(options);
    checkDistinctPorts([
      {
        name: 'enrollment-port',
        port: options.enrollmentPort,
        address: options.enrollmentBindAddress,
      },
      { name: 'health-port', port: options.healthPort, address: options.healthBindAddress },
    ]);
    warnOfLogDestination(options, warn);
  },
});

/** The options of `fairlead issuer`, parsed and checked. Durations in ms. */
export type IssuerOptions = OptionsOf<typeof issuerOptions>;
