import { Counter, Gauge, Registry } from 'prom-client';

export class IssuerMetrics {
  readonly registry = new Registry();
  readonly issued = new Counter({
    name: 'fairlead_issuer_certificates_total',
    help: 'Certificates issued to agents, by request: enrol or renew',
    labelNames: ['request'],
    registers: [this.registry],
  });
  readonly refused = new Counter({
    name: 'fairlead_issuer_refusals_total',
    help: 'Requests and connections that were refused, by code',
    labelNames: ['code'],
    registers: [this.registry],
  });
  readonly connections = new Gauge({
    name: 'fairlead_issuer_connections',
    help: 'Open connections on the enrollment port',
    registers: [this.registry],
  });

  constructor() {
    for (const request of ['enrol', 'renew']) this.issued.inc({ request }, 0);
  }
}
