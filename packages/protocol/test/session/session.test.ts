import t from 'tap';
import {
  tcpTransports,
  tlsTransports,
  webSocketTransports,
} from '../transports/transport-pairs.ts';
import { sessionContract } from './session-contract.ts';
import { memoryTransports } from './session-pair.ts';

t.test('over memory', async (t) => sessionContract(t, async () => memoryTransports()));
t.test('over TCP', async (t) => sessionContract(t, tcpTransports));
t.test('over TLS', async (t) => sessionContract(t, tlsTransports));
t.test('over WebSocket', async (t) => sessionContract(t, webSocketTransports));
