/** Leases of the Kubernetes API (coordination.k8s.io/v1), with a history for watches. */
import { ApiStatus } from './api-status.ts';
import { type Change, type Given, ObjectStore, type StoredObject } from './object-store.ts';

export interface StoredLease extends StoredObject {
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly renewTime?: string;
  };
}

export interface LeaseEvent {
  readonly type: Change;
  readonly version: number;
  readonly object: StoredLease;
}

const microTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

export class LeaseStore extends ObjectStore<StoredLease> {
  protected readonly kind = 'Lease';
  #history: LeaseEvent[] = [];
  #oldest = 0;
  readonly #onEvent: (event: LeaseEvent) => void;

  constructor(onEvent: (event: LeaseEvent) => void) {
    super();
    this.#onEvent = onEvent;
  }

  /** The events after a version. @throws ApiStatus 410 if they are deleted */
  since(version: number): LeaseEvent[] {
    if (version < this.#oldest) {
      const text = `too old resource version: ${version} (${this.#oldest})`;
      throw new ApiStatus(410, 'Expired', text);
    }
    return this.#history.filter((event) => event.version > version);
  }

  /** Deletes the history, like etcd's compaction. */
  compact(): void {
    this.#oldest = this.nextVersion();
    this.#history = [];
  }

  protected contentOf({ spec = {} }: Given<StoredLease>) {
    for (const time of [spec.acquireTime, spec.renewTime]) {
      if (time !== undefined && !microTime.test(String(time))) {
        throw new ApiStatus(400, 'BadRequest', `parsing time "${time}" as RFC3339Micro`);
      }
    }
    return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', spec };
  }

  protected override onChange(type: Change, object: StoredLease): void {
    const event = { type, version: this.version, object };
    this.#history.push(event);
    this.#onEvent(event);
  }
}
