import type { ErrorCode, Target, TunnelError, TunnelStream } from '@fairlead/protocol';
import {
  type Backend,
  type BackendDialHandler,
  Backends,
  DialFailures,
  parseAgentIdentifiers,
} from '@fairlead/server/internal';

/** A backend without a tunnel. */
export class FakeBackend implements Backend {
  readonly agentId: string;
  readonly peer = { address: 'test', commonName: undefined, certificate: undefined };
  claims: Backend['claims'];
  isDraining = false;
  isSilent = false;
  readonly results: (ErrorCode | undefined)[] = [];
  load = 0;
  /** Handles a dial. By default it fails. */
  onDial: (target: Target, signal: AbortSignal) => Promise<TunnelStream> = async () => {
    throw new Error(`${this.agentId} was dialed`);
  };
  readonly dialed: Target[] = [];
  readonly dialFailures = new DialFailures(() => this.onFailing());
  onFailing = () => {};

  /** @param covered identifiers that the agent's certificate covers; @param uncovered other claims */
  constructor(agentId: string, covered = '', uncovered = '') {
    this.agentId = agentId;
    this.claims = claims(covered, uncovered);
  }

  onDialEnd(error?: TunnelError): void {
    this.results.push(error?.code);
    this.dialFailures.record(error);
  }

  get isFailing(): boolean {
    return this.dialFailures.isFailing;
  }

  dial(target: Target, handler: BackendDialHandler): { reset(error: TunnelError): void } {
    this.dialed.push(target);
    const abort = new AbortController();
    this.onDial(target, abort.signal).then(
      (stream) => handler.onOpened(stream),
      (error) => handler.onFailed(error),
    );
    return { reset: (error) => abort.abort(error) };
  }
}

export function claims(covered: string, uncovered = ''): Backend['claims'] {
  return {
    covered: parseAgentIdentifiers(covered),
    uncovered: parseAgentIdentifiers(uncovered),
  };
}

/** Creates backends from agent IDs and agent identifiers. */
export function fakeBackends<Name extends string>(
  identifiers: Readonly<Record<Name, string>>,
): { readonly backends: Backends; readonly fakes: Readonly<Record<Name, FakeBackend>> } {
  const backends = new Backends();
  const fakes = {} as Record<Name, FakeBackend>;
  for (const [name, text] of Object.entries<string>(identifiers)) {
    const backend = new FakeBackend(name, text);
    fakes[name as Name] = backend;
    backend.onFailing = () => backends.refresh(backend);
    backends.add(backend);
  }
  return { backends, fakes };
}
