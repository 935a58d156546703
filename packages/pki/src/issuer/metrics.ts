import { Counter, Gauge, Registry } from 'prom-client';

/** The issuer's metrics. */
export class IssuerMetrics {
  readonly registry = new Registry();
  readonly #issued = new Counter({
    name: 'fairlead_issuer_certificates_total',
    help: 'Certificates of agents, by how they came to be: enrol or renew',
    labelNames: ['request'],
    registers: [this.registry],
  });
  readonly #refused = new Counter({
    name: 'fairlead_issuer_refusals_total',
    help: 'Requests and connections that got nothing, by code',
    labelNames: ['code'],
    registers: [this.registry],
  });

  /** @param connections read when somebody asks */
  constructor(connections: () => number) {
    new Gauge({
      name: 'fairlead_issuer_connections',
      help: 'Open connections on the enrollment port',
      registers: [this.registry],
      collect() {
        this.set(connections());
      },
    });
    for (const request of ['enrol', 'renew']) this.#issued.inc({ request }, 0);
  }

  onIssued(request: 'enrol' | 'renew'): void {
    this.#issued.inc({ request });
  }

  onRefused(code: string): void {
    this.#refused.inc({ code });
  }
}
