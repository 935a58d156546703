import type { Target, TunnelStream } from '@fairlead/protocol';
import { type Backend, Backends, parseAgentIdentifiers } from '@fairlead/server/internal';

/** A backend without a tunnel. */
export class FakeBackend implements Backend {
  readonly agentId: string;
  readonly peer = { address: 'test', commonName: undefined };
  isDraining = false;
  isSilent = false;
  load = 0;
  /** What a dial does; fails unless a test says else. */
  onDial: (target: Target, signal: AbortSignal) => Promise<TunnelStream> = async () => {
    throw new Error(`${this.agentId} was dialled`);
  };
  readonly dialled: Target[] = [];

  constructor(agentId: string) {
    this.agentId = agentId;
  }

  dial(target: Target, signal: AbortSignal): Promise<TunnelStream> {
    this.dialled.push(target);
    return this.onDial(target, signal);
  }
}

/** Backends by their agents' IDs, with what each says that it serves. */
export function fakeBackends<Name extends string>(
  identifiers: Readonly<Record<Name, string>>,
): { readonly backends: Backends; readonly fakes: Readonly<Record<Name, FakeBackend>> } {
  const backends = new Backends(() => {});
  const fakes = {} as Record<Name, FakeBackend>;
  for (const [name, text] of Object.entries<string>(identifiers)) {
    const backend = new FakeBackend(name);
    fakes[name as Name] = backend;
    backends.add(backend, { covered: parseAgentIdentifiers(text) });
  }
  return { backends, fakes };
}
