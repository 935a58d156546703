import type { TcpAddress } from '@fairlead/client';
import type { TestPki } from '@fairlead/testkit';
import { Worker } from '../process/worker.ts';
import type { TargetKind, TargetOrder } from '../targets/target-kind.ts';

const entry = new URL('../targets/main.js', import.meta.url);

/** The target processes of one measure. All systems use them. */
export class Targets {
  readonly workers: ReadonlyMap<TargetKind, Worker>;
  readonly addresses: ReadonlyMap<TargetKind, TcpAddress>;

  private constructor(
    workers: ReadonlyMap<TargetKind, Worker>,
    addresses: ReadonlyMap<TargetKind, TcpAddress>,
  ) {
    this.workers = workers;
    this.addresses = addresses;
  }

  static async start(kinds: readonly TargetKind[], pki: TestPki): Promise<Targets> {
    const workers = new Map<TargetKind, Worker>();
    const addresses = new Map<TargetKind, TcpAddress>();
    const { cert, key } = pki.kubelet.server;
    for (const kind of kinds) {
      const worker = await Worker.start(entry);
      workers.set(kind, worker);
      const order: TargetOrder = { kind, cert, key };
      addresses.set(kind, await worker.call<TcpAddress>('listen', order));
    }
    return new Targets(workers, addresses);
  }

  async close(): Promise<void> {
    await Promise.all([...this.workers.values()].map((worker) => worker.close()));
  }
}
