import { createLogger } from '@fairlead/runtime/process';
import { CertificateExpiry } from '@fairlead/runtime/tls';
import { Registry } from 'prom-client';
import t from 'tap';

const dayMs = 86_400_000;

t.test('the expiry of a certificate is a metric, and a warning 30 days before', async (t) => {
  const warnings: { flag: string; daysLeft: number; msg: string }[] = [];
  const logger = createLogger('info', { write: (text) => warnings.push(JSON.parse(text)) });
  const registry = new Registry();
  const expiry = new CertificateExpiry({ logger, registry, metricPrefix: 'x_' });
  t.teardown(() => expiry.close());
  const file = (flag: string, days: number) => ({
    flag,
    path: '/c',
    notAfter: new Date(Date.now() + days * dayMs + 1000),
  });
  expiry.update([file('--long', 31), file('--short', 29), file('--past', -2)]);
  t.match(warnings, [
    { flag: '--short', daysLeft: 29, msg: 'certificate expires soon, renew it' },
    { flag: '--past', daysLeft: -2, msg: 'certificate has expired, renew it' },
  ]);
  t.equal(warnings.length, 2);
  const seconds = async (flag: string) => {
    const row = new RegExp(`x_certificate_expiry_seconds\\{flag="${flag}"\\} (\\S+)`);
    return Number(row.exec(await registry.metrics())?.[1]);
  };
  t.ok(Math.abs((await seconds('--long')) - 31 * 86_400) < 10);
  t.ok((await seconds('--past')) < 0);
  expiry.update([file('--short', 300)]);
  t.ok((await seconds('--short')) > 299 * 86_400, 'the metric is that of the renewed file');
  t.equal(warnings.length, 2);
});
