import { TlsSessionCache } from '@fairlead/agent/internal';
import t from 'tap';

const at = (address: string, group = 'servers h2') => ({ address, group });
const ticket = (text: string) => Buffer.from(text);

t.test('a session is used once, and sessions of the same address are used first', async (t) => {
  const cache = new TlsSessionCache();
  cache.put(at('a'), ticket('a1'));
  cache.put(at('a'), ticket('a2'));
  cache.put(at('b'), ticket('b1'));
  const take = (address: string) => cache.take(at(address))?.toString();
  t.strictSame([take('a'), take('a'), take('a'), take('a')], ['a2', 'a1', 'b1', undefined]);
});

t.test('a session of another address must have the same name and protocol', async (t) => {
  const cache = new TlsSessionCache();
  cache.put(at('a', 'servers tls'), ticket('tls'));
  cache.put(at('a', 'others h2'), ticket('other'));
  t.equal(cache.take(at('a')), undefined);
  cache.put(at('a'), ticket('peer'));
  t.equal(cache.take(at('b'))?.toString(), 'peer');
});

t.test('keeps two sessions per address, and 256 in total', async (t) => {
  const cache = new TlsSessionCache();
  for (let index = 0; index < 5; index++) cache.put(at('a'), ticket(String(index)));
  const left = [cache.take(at('a')), cache.take(at('a')), cache.take(at('a'))].map(String);
  t.strictSame(left, ['4', '3', 'undefined']);
  for (let index = 0; index < 300; index++) cache.put(at(String(index)), ticket(String(index)));
  let count = 0;
  while (cache.take(at('a'))) count++;
  t.equal(count, 256);
});

t.test('each set of credentials has its own cache', async (t) => {
  const [one, other] = [{}, {}];
  t.equal(TlsSessionCache.for(one), TlsSessionCache.for(one));
  t.not(TlsSessionCache.for(one), TlsSessionCache.for(other));
});
