/** Leases of the Kubernetes API (coordination.k8s.io/v1), with versions and a history for watches. */
import { ApiStatus, checkPreconditions, matches, type Preconditions } from './api-status.ts';

const typeOfLease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' } as const;

export interface StoredLease {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly renewTime?: string;
  };
}

export interface LeaseEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly version: number;
  readonly object: StoredLease;
}

/** The fields of a Lease in a request that the store uses. */
export interface GivenLease {
  readonly metadata?: {
    readonly name?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: StoredLease['spec'];
}

const microTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const subdomain = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;

export class LeaseStore {
  readonly #leases = new Map<string, StoredLease>();
  #history: LeaseEvent[] = [];
  #version = 100;
  #oldest = 0;
  #uids = 0;
  readonly #onEvent: (event: LeaseEvent) => void;

  constructor(onEvent: (event: LeaseEvent) => void) {
    this.#onEvent = onEvent;
  }

  get version(): number {
    return this.#version;
  }

  all(namespace: string, selector = ''): StoredLease[] {
    return [...this.#leases.values()].filter(
      (lease) => lease.metadata.namespace === namespace && matches(lease, selector),
    );
  }

  get(namespace: string, name: string): StoredLease {
    const lease = this.#leases.get(`${namespace}/${name}`);
    if (!lease) throw new ApiStatus(404, 'NotFound', `leases "${name}" not found`);
    return lease;
  }

  create(namespace: string, { metadata = {}, spec = {} }: GivenLease): StoredLease {
    const { name = '', resourceVersion = '', labels, annotations } = metadata;
    if (!subdomain.test(name)) throw new ApiStatus(422, 'Invalid', `Lease "${name}" is invalid`);
    if (resourceVersion !== '') {
      throw new ApiStatus(
        400,
        'BadRequest',
        'resourceVersion should not be set on objects to be created',
      );
    }
    if (this.#leases.has(`${namespace}/${name}`)) {
      throw new ApiStatus(409, 'AlreadyExists', `leases "${name}" already exists`);
    }
    checkTimes(spec);
    this.#uids += 1;
    return this.#put('ADDED', {
      metadata: {
        name,
        namespace,
        uid: `uid-${this.#uids}`,
        resourceVersion: '',
        ...(labels && { labels }),
        ...(annotations && { annotations }),
      },
      spec,
    });
  }

  update(namespace: string, name: string, { metadata = {}, spec = {} }: GivenLease): StoredLease {
    const before = this.get(namespace, name);
    const { labels, annotations, resourceVersion = '' } = metadata;
    checkPreconditions(before.metadata, { resourceVersion }, name);
    checkTimes(spec);
    return this.#put('MODIFIED', {
      metadata: {
        ...before.metadata,
        ...(labels && { labels }),
        ...(annotations && { annotations }),
      },
      spec,
    });
  }

  delete(namespace: string, name: string, preconditions: Preconditions = {}): void {
    const { metadata, spec } = this.get(namespace, name);
    checkPreconditions(metadata, preconditions, name);
    this.#leases.delete(`${namespace}/${name}`);
    this.#record('DELETED', { metadata, spec });
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
    this.#version += 1;
    this.#oldest = this.#version;
    this.#history = [];
  }

  #put(type: 'ADDED' | 'MODIFIED', lease: StoredLease): StoredLease {
    const stored = this.#record(type, lease);
    this.#leases.set(`${stored.metadata.namespace}/${stored.metadata.name}`, stored);
    return stored;
  }

  #record(type: LeaseEvent['type'], { metadata, spec }: StoredLease): StoredLease {
    this.#version += 1;
    const object = {
      ...typeOfLease,
      metadata: { ...metadata, resourceVersion: String(this.#version) },
      spec,
    };
    const event = { type, version: this.#version, object };
    this.#history.push(event);
    this.#onEvent(event);
    return object;
  }
}

function checkTimes({ acquireTime, renewTime }: StoredLease['spec']): void {
  for (const time of [acquireTime, renewTime]) {
    if (time !== undefined && !microTime.test(String(time))) {
      throw new ApiStatus(400, 'BadRequest', `parsing time "${time}" as RFC3339Micro`);
    }
  }
}
