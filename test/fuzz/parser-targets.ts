import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { GrpcError, type Packet } from '@fairlead/konnectivity';
import {
  decodePacket,
  encodeDataHead,
  encodePacket,
  MESSAGE_HEADER_BYTES,
  MessageDecoder,
  parseAddress,
} from '@fairlead/konnectivity/internal';
import { cleanText, formatTarget, TunnelError } from '@fairlead/protocol';
import { FrameDecoder, type FrameSink, parseHello } from '@fairlead/protocol/internal';
import {
  parseIpAddress,
  parseIpNetwork,
  parseTargetRule,
  ruleCoversAddress,
  ruleCoversName,
} from '@fairlead/runtime/net';
import { parseAlternativeNames } from '@fairlead/runtime/tls';
import { claimTexts, parseAgentIdentifiers, parseConnectTarget } from '@fairlead/server/internal';
import type { FuzzTarget } from './fuzzer.ts';

const texts = (...lines: readonly string[]): Buffer[] => lines.map((line) => Buffer.from(line));

/** Parses; undefined if the parser refuses the input with one of these codes. Other errors are bugs. */
function parseOrRefuse<T>(parse: () => T, ...codes: readonly string[]): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof TunnelError && codes.includes(error.code)) return undefined;
    throw error;
  }
}

/** Frames are decoded alike, no matter how the bytes are split into chunks. */
const frames: FuzzTarget = {
  name: 'frames',
  seeds: [
    Buffer.from('010000107b2276657273696f6e73223a5b315d7d', 'hex'),
    Buffer.from(
      '0200000400000002005001610500000300000002616263060000000000000207000002000000020022',
      'hex',
    ),
    Buffer.from(
      '080000040000000200010000090000080000000001020304050607080b00000600000000000100000000',
      'hex',
    ),
  ],
  run(input) {
    const decode = (chunks: readonly Buffer[]) => {
      const calls: unknown[] = [];
      let data: { id: number; bytes: Buffer } | undefined;
      const sink = new Proxy({} as FrameSink, {
        get: (_, name) => (id: unknown, chunk: unknown) => {
          if (name !== 'onData') {
            data = undefined;
            calls.push([name, id, Buffer.isBuffer(id) ? id.toString('hex') : chunk]);
          } else if (data?.id === id) {
            data!.bytes = Buffer.concat([data!.bytes, chunk as Buffer]);
          } else {
            data = { id: id as number, bytes: chunk as Buffer };
            calls.push(data);
          }
        },
      });
      const decoder = new FrameDecoder(sink);
      for (const chunk of chunks) {
        const isDone = parseOrRefuse(
          () => {
            decoder.push(chunk);
            return false;
          },
          'frame_error',
          'protocol_error',
        );
        if (isDone === undefined) {
          calls.push('refused');
          break;
        }
      }
      return calls;
    };
    const single = Array.from(input, (_, at) => input.subarray(at, at + 1));
    // Consecutive DATA of one stream is merged, since chunk boundaries differ.
    assert.deepEqual(decode(single), decode([input]));
  },
};

const hello: FuzzTarget = {
  name: 'hello',
  seeds: texts(
    '{"versions":[1],"agentId":"a","agentIdentifiers":"host=a&cidr=10.0.0.0/8"}',
    '{"versions":[1,2],"serverId":"s","serverCount":3,"peers":["a:1","[::1]:2"],"maxStreams":9}',
    '{"__proto__":{"agentId":"x"},"constructor":1}',
  ),
  words: texts(
    '"versions":',
    '"__proto__":',
    '[',
    '{"',
    'null',
    '1e999',
    '-0',
    '\\ud800',
    ',"peers":[',
  ),
  run(input) {
    const read = parseOrRefuse(() => parseHello(input), 'protocol_error');
    if (!read) return;
    assert.deepEqual(parseHello(Buffer.from(JSON.stringify(read))), read);
    assert.ok(Object.getPrototypeOf(read) === Object.prototype);
  },
};

function encoded(packet: Packet): Buffer {
  if (packet.type !== 'DATA') return encodePacket(packet);
  return Buffer.concat([encodeDataHead(packet.connectId, packet.data.length), packet.data]);
}

/** Bodies of gRPC calls: message framing, and the packets in it. */
const grpc: FuzzTarget = {
  name: 'grpc',
  seeds: [
    encoded({ type: 'DIAL_REQ', protocol: 'tcp', address: '10.0.0.1:10250', random: 7n }),
    encoded({ type: 'DIAL_RSP', error: 'dial tcp: refused', connectId: 1n, random: 7n }),
    encoded({ type: 'DATA', connectId: 3n, error: '', data: Buffer.from('payload') }),
    Buffer.concat([encoded({ type: 'CLOSE_REQ', connectId: 3n }), encoded({ type: 'DRAIN' })]),
    encoded({ type: 'CLOSE_RSP', error: 'EOF', connectId: 2n ** 62n }),
    encoded({ type: 'DIAL_CLS', random: 2n ** 62n }),
  ],
  words: [Buffer.from('ffffffffffffffffff01', 'hex'), Buffer.from('0000000000', 'hex')],
  run(input) {
    const read = (chunks: readonly Buffer[]) => {
      const packets: (Packet | undefined)[] = [];
      const decoder = new MessageDecoder((message) => packets.push(decodePacket(message)));
      try {
        for (const chunk of chunks) decoder.push(chunk);
      } catch (error) {
        const isKnown = error instanceof GrpcError || error instanceof TunnelError;
        if (!isKnown) throw error;
      }
      return packets;
    };
    const packets = read([input]);
    assert.deepEqual(read(Array.from(input, (_, at) => input.subarray(at, at + 1))), packets);
    for (const packet of packets) {
      if (!packet) continue;
      const again = decodePacket(encoded(packet).subarray(MESSAGE_HEADER_BYTES));
      // No implementation sends the error of DATA, so it is not encoded.
      assert.deepEqual(again, packet.type === 'DATA' ? { ...packet, error: '' } : packet);
    }
  },
};

const targets: FuzzTarget = {
  name: 'targets',
  seeds: texts(
    'node-1:10250',
    '10.0.0.1:443',
    '[fd00::1]:1',
    'a.example.:65535',
    '[::ffff:10.0.0.1]:80',
  ),
  words: texts('%eth0', ']:', '[::', ':0', '\u0000', '@', '2852039166', 'xn--', '\u212a', '..'),
  run(input) {
    const text = input.toString();
    const target = parseOrRefuse(() => parseConnectTarget(text), 'bad_target');
    if (target) {
      assert.equal(formatTarget(target), text);
      assert.match(target.host, /^[\w.:-]{1,254}$/);
      assert.ok(target.port >= 1 && target.port <= 65_535);
    }
    const address = parseOrRefuse(() => parseAddress(text), 'bad_target');
    if (target && target.host.length <= 253) assert.deepEqual(address, target);
  },
};

const identifiers: FuzzTarget = {
  name: 'identifiers',
  seeds: texts(
    'host=node-1&host=NODE-1.&ipv4=10.0.0.1&ipv6=fd00::1',
    'cidr=10.1.0.0/16&cidr=fd00::/64&default-route=true&default-route=F',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a manifest's variable that was not expanded
    'ipv4=${HOST_IP}&host=%6eode&cidr=::ffff:10.0.0.0/104',
  ),
  words: texts('&host=', '&ipv6=', '&cidr=', '/0', '%00', '%25eth0', '::ffff:', '&default-route=1'),
  run(input) {
    const read = parseAgentIdentifiers(input.toString());
    // Parsed identifiers are canonical: encoded and parsed again they are the same, without warnings.
    const again = parseAgentIdentifiers(claimTexts(read).join('&'));
    assert.deepEqual(again, { ...read, warnings: [] });
    for (const warning of read.warnings) assert.equal(warning, cleanText(warning, 1_000));
  },
};

const addresses: FuzzTarget = {
  name: 'addresses',
  seeds: texts('10.0.0.1', '::1', '::ffff:10.0.0.1', 'fd00::/8', '10.0.0.0/8', '64:ff9b::10.0.0.1'),
  words: texts('::', '/128', '/32', '%1', '0x', '1.'),
  run(input) {
    const text = input.toString();
    const address = parseIpAddress(text);
    assert.equal(address !== undefined, isIP(text) !== 0);
    if (address) {
      assert.equal(isIP(address.text), address.family);
      assert.deepEqual(parseIpAddress(address.text), address);
    }
    const network = parseIpNetwork(text);
    if (network) assert.deepEqual(parseIpNetwork(network.text), network);
  },
};

const rules: FuzzTarget = {
  name: 'rules',
  seeds: texts(
    '10.0.0.0/8:443',
    '*.example:1-1023',
    '[fd00::/8]:443',
    '*',
    '*:10250',
    'node-1',
    '::1',
  ),
  words: texts('*.', ':1-', '[', ']', '/8', ':65535'),
  run(input) {
    const text = input.toString();
    const rule = parseTargetRule(text);
    if (!rule) return;
    const own = parseIpAddress('10.0.0.1')!;
    assert.equal(rule.text, text);
    if (rule.host.kind === 'network') assert.equal(ruleCoversName(rule, 'node-1', 443), false);
    if (rule.host.kind === 'name') assert.equal(ruleCoversAddress(rule, own, 443), false);
    if (rule.ports) assert.ok(rule.ports.first >= 1 && rule.ports.last <= 65_535);
  },
};

const names: FuzzTarget = {
  name: 'alternative-names',
  seeds: texts(
    'DNS:node-1, IP Address:10.0.0.1, URI:fairlead:cidr=10.0.0.0/8-24',
    'DNS:"a, DNS:b", URI:fairlead:default-route',
  ),
  words: texts(', DNS:', '"', '\\"', 'URI:', ', '),
  run(input) {
    const text = input.toString();
    const read = parseAlternativeNames(text);
    // A value that contains a separator is quoted, or parsing fails.
    const plain = read?.filter(({ value }) => !/[,"]/.test(value)) ?? [];
    for (const { type, value } of plain) {
      assert.ok(text.includes(`${type}:`) && (text.includes(value) || text.includes('"')));
    }
  },
};

export const parserTargets: readonly FuzzTarget[] = [
  frames,
  hello,
  grpc,
  targets,
  identifiers,
  addresses,
  rules,
  names,
];
