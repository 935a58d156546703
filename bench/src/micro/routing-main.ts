/**
 * Measures the router: picks a second with 10,000 agents and 50,000 networks. One in ten agents drains.
 *
 *     node bench/dist/micro/routing-main.js
 */
import type { Target } from '@fairlead/protocol';
import {
  type Backend,
  Backends,
  parseAgentIdentifiers,
  Router,
  type StrategyName,
} from '@fairlead/server/internal';

const agentCount = 10_000;
const networksPerAgent = 5;
const measureMs = 500;
/** Steps between two readings of the clock. */
const batch = 1_000;

/** A backend without a tunnel. */
class IdleBackend implements Backend {
  readonly agentId: string;
  readonly peer = { address: '', commonName: undefined, certificate: undefined };
  readonly claims: Backend['claims'];
  readonly isSilent = false;
  readonly isFailing = false;
  isDraining = false;
  load = 0;

  constructor(agentId: string, identifiers: string) {
    this.agentId = agentId;
    this.claims = {
      covered: parseAgentIdentifiers(identifiers),
      uncovered: parseAgentIdentifiers(''),
    };
  }

  onDialEnd(): void {}

  dial(): never {
    throw new Error('this benchmark does not dial');
  }
}

function identifiersOf(index: number): string {
  const [high, low] = [Math.floor(index / 256), index % 256];
  const networks = Array.from({ length: networksPerAgent }, (_, at) => {
    const number = index * networksPerAgent + at;
    const octets = [10 + Math.floor(number / 65_536), Math.floor(number / 256) % 256, number % 256];
    return number % 2 === 0
      ? `cidr=${octets.join('.')}.0/24`
      : `cidr=fd00:${number.toString(16)}::/32`;
  });
  return [`host=node-${index}.example`, `ipv4=192.168.${high}.${low}`, ...networks].join('&');
}

/** Runs `step` with increasing numbers for `measureMs`. @returns steps a second */
function rateOf(step: (index: number) => void): number {
  let count = 0;
  const startMs = performance.now();
  let elapsedMs = 0;
  while (elapsedMs < measureMs) {
    for (let left = batch; left > 0; left--) step(count++);
    elapsedMs = performance.now() - startMs;
  }
  return (count / elapsedMs) * 1000;
}

function report(what: string, rate: number): void {
  const thousands = Math.round(rate / 1000).toLocaleString('en');
  process.stdout.write(`${what.padEnd(44)}${thousands.padStart(8)} thousand/s\n`);
}

const backends = new Backends();
const all = Array.from({ length: agentCount }, (_, index) => {
  const backend = new IdleBackend(`agent-${index}`, identifiersOf(index));
  backend.isDraining = index % 10 === 0;
  backend.load = index % 7;
  return backend;
});
for (const backend of all) backends.add(backend);

/** Targets spread over all agents. */
function targets(hostOf: (index: number) => string): readonly Target[] {
  return Array.from({ length: 4096 }, (_, at) => ({
    host: hostOf((at * 2_654_435_761) % agentCount),
    port: 10_250,
  }));
}

const cases: readonly [string, readonly StrategyName[], readonly Target[]][] = [
  ['default: any of 10,000', ['default'], targets(() => 'anything')],
  ['destHost: a name', ['destHost'], targets((index) => `Node-${index}.example.`)],
  [
    'destHost: an IPv4 address',
    ['destHost'],
    targets((index) => `192.168.${Math.floor(index / 256)}.${index % 256}`),
  ],
  [
    'destCIDR: an IPv4 address',
    ['destCIDR'],
    targets((index) => {
      const number = (index * networksPerAgent) & ~1;
      return `${10 + Math.floor(number / 65_536)}.${Math.floor(number / 256) % 256}.${number % 256}.9`;
    }),
  ],
  [
    'destCIDR: an IPv6 address',
    ['destCIDR'],
    targets((index) => `fd00:${((index * networksPerAgent) | 1).toString(16)}::9`),
  ],
  [
    'all four, only the last matches',
    ['destHost', 'destCIDR', 'defaultRoute', 'default'],
    targets(() => '203.0.113.1'),
  ],
];

for (const [what, names, wanted] of cases) {
  const router = new Router(backends, names);
  const missed = wanted.filter((target) => !router.pick(target)).length;
  if (missed > 0) throw new Error(`${what}: no agent for ${missed} targets`);
  report(
    what,
    rateOf((index) => router.pick(wanted[index % wanted.length]!)),
  );
}

report(
  'an agent leaves and returns (7 identifiers)',
  rateOf((index) => {
    const backend = all[index % agentCount]!;
    backends.remove(backend);
    backends.add(backend);
  }),
);
report(
  'an agent starts or stops draining',
  rateOf((index) => {
    const backend = all[index % agentCount]!;
    backend.isDraining = !backend.isDraining;
    backends.refresh(backend);
  }),
);
