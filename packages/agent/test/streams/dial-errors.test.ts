import { connectError, lookupError } from '@fairlead/agent/internal';
import t from 'tap';

const systemError = (code: string) => Object.assign(new Error(`connect ${code}`), { code });

const codesOf = (
  translate: (error: NodeJS.ErrnoException, name: string) => { readonly code: string },
  names: readonly string[],
) => [...new Set(names.map((name) => translate(systemError(name), 'a.test:80').code))];

const ownFaults = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'ENETUNREACH', 'ENETDOWN'];

t.test("the agent's own faults are agent_failed", async (t) => {
  t.strictSame(codesOf(connectError, [...ownFaults, 'EADDRNOTAVAIL']), ['agent_failed']);
  t.strictSame(codesOf(lookupError, ['EMFILE', 'ENFILE', 'ENOMEM', 'EAI_MEMORY']), [
    'agent_failed',
  ]);
  t.equal(
    connectError(systemError('EMFILE'), '10.0.0.1:80').message,
    'dial tcp 10.0.0.1:80: socket: too many open files',
  );
});

t.test('what can be the fault of the target or its zone is not', async (t) => {
  const perhapsTarget = ['EHOSTUNREACH', 'EHOSTDOWN', 'EAFNOSUPPORT', 'EACCES', 'EPERM', 'EINVAL'];
  t.strictSame(codesOf(connectError, perhapsTarget), ['target_unreachable']);
  t.strictSame(codesOf(lookupError, ['EAI_AGAIN', 'EAI_FAIL', 'ENOTFOUND']), ['dns_failed']);
});
