import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { targetRuleSchema } from '@fairlead/runtime/net';
import { readCheckedFile } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import t from 'tap';
import { z } from 'zod';

const schema = z.strictObject({ deny: z.array(targetRuleSchema).default([]) });

t.test('reads and validates a file, and the error has flag, file and line', async (t) => {
  const path = join(t.testdir(), 'policy.yaml');
  const read = (text: string) => {
    writeFileSync(path, text);
    return readCheckedFile({ flag: '--policy', path }, schema);
  };
  const complaint = (text: string): string => {
    try {
      read(text);
    } catch (error) {
      if (error instanceof UsageError) return error.message.replace(path, 'FILE');
      throw error;
    }
    return 'no complaint';
  };

  t.match(read('deny:\n  - 10.0.0.0/8\n').deny, [{ text: '10.0.0.0/8' }]);
  t.match(read('{"deny": ["*.example:443"]}').deny, [{ text: '*.example:443' }]);
  t.same(read('{}').deny, []);

  t.match(
    complaint('deny:\n  - 10.0.0.0/8\n  - 10.0.0.1/8\n'),
    /^--policy: FILE:3: deny\.1: "10\.0\.0\.1\/8" is not a rule/,
  );
  t.match(complaint('deny: [1]'), /^--policy: FILE:1: deny\.0: must be a text/);
  t.match(complaint('\n\nallow: []\n'), /^--policy: FILE:3: .*"allow"/);
  t.match(complaint('deny: [a\n'), /^--policy: FILE:\d: /);
  t.match(complaint(''), /^--policy: FILE:1: /);
  t.match(complaint('- a'), /^--policy: FILE:1: /);
  const bomb =
    'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n';
  t.match(complaint(bomb), /^--policy: FILE: .*alias/i);
  t.throws(() => readCheckedFile({ flag: '--policy', path: '/nowhere' }, schema), {
    name: 'UsageError',
    message: /^--policy: \/nowhere: file not found/,
  });
});
