import { kinds } from '@fairlead/runtime/options';
import t from 'tap';

t.test('a ratio is formatted as it was written', async (t) => {
  const { schema, format } = kinds.ratio;
  for (const percent of ['0%', '0.1%', '7%', '14%', '28%', '29%', '55.5%', '100%']) {
    t.equal(format(schema.parse(percent)), percent);
  }
});
