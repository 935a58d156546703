/**
 * A second, simple implementation of docs/spec.md, section 1. It decodes whole buffers and shares no code with the real
 * codec, so that an error in one of them is likely to be found.
 */
export type Frame =
  | { name: 'HELLO'; json: string }
  | { name: 'OPEN'; id: number; host: string; port: number }
  | { name: 'OPENED'; id: number }
  | { name: 'OPEN_FAILED'; id: number; code: number; text: string }
  | { name: 'DATA'; id: number; hex: string }
  | { name: 'FIN'; id: number }
  | { name: 'RESET'; id: number; code: number }
  | { name: 'WINDOW'; id: number; increment: number }
  | { name: 'PING'; hex: string }
  | { name: 'PONG'; hex: string; busyUs: number }
  | { name: 'GOAWAY'; code: number; lastId: number; reason: string }
  | { name: 'unknown'; type: number; id: number; hex: string };

export function encodeOne(frame: Frame): Buffer {
  switch (frame.name) {
    case 'HELLO':
      return whole(1, 0, Buffer.from(frame.json));
    case 'OPEN': {
      const host = Buffer.from(frame.host);
      return whole(
        2,
        frame.id,
        Buffer.concat([number(frame.port, 2), number(host.length, 1), host]),
      );
    }
    case 'OPENED':
      return whole(3, frame.id);
    case 'OPEN_FAILED':
      return whole(4, frame.id, Buffer.concat([number(frame.code, 2), Buffer.from(frame.text)]));
    case 'DATA':
      return whole(5, frame.id, Buffer.from(frame.hex, 'hex'));
    case 'FIN':
      return whole(6, frame.id);
    case 'RESET':
      return whole(7, frame.id, number(frame.code, 2));
    case 'WINDOW':
      return whole(8, frame.id, number(frame.increment, 4));
    case 'PING':
      return whole(9, 0, Buffer.from(frame.hex, 'hex'));
    case 'PONG':
      return whole(10, 0, Buffer.concat([Buffer.from(frame.hex, 'hex'), number(frame.busyUs, 4)]));
    case 'GOAWAY': {
      const fixed = [number(frame.code, 2), number(frame.lastId, 4)];
      return whole(11, 0, Buffer.concat([...fixed, Buffer.from(frame.reason)]));
    }
    case 'unknown':
      return whole(frame.type, frame.id, Buffer.from(frame.hex, 'hex'));
  }
}

/** @returns the complete frames, and the remaining bytes */
export function decodeAll(bytes: Buffer): { frames: Frame[]; rest: Buffer } {
  const frames: Frame[] = [];
  let rest = bytes;
  while (rest.length >= 8 && rest.length >= 8 + rest.readUInt16BE(2)) {
    const length = rest.readUInt16BE(2);
    frames.push(frameOf(rest.readUInt8(0), rest.readUInt32BE(4), rest.subarray(8, 8 + length)));
    rest = rest.subarray(8 + length);
  }
  return { frames, rest };
}

function frameOf(type: number, id: number, payload: Buffer): Frame {
  switch (type) {
    case 1:
      return { name: 'HELLO', json: payload.toString() };
    case 2: {
      const host = payload.subarray(3, 3 + payload.readUInt8(2)).toString();
      return { name: 'OPEN', id, host, port: payload.readUInt16BE(0) };
    }
    case 3:
      return { name: 'OPENED', id };
    case 4: {
      const text = payload.subarray(2, 2 + 256).toString();
      return { name: 'OPEN_FAILED', id, code: payload.readUInt16BE(0), text };
    }
    case 5:
      return { name: 'DATA', id, hex: payload.toString('hex') };
    case 6:
      return { name: 'FIN', id };
    case 7:
      return { name: 'RESET', id, code: payload.readUInt16BE(0) };
    case 8:
      return { name: 'WINDOW', id, increment: payload.readUInt32BE(0) };
    case 9:
      return { name: 'PING', hex: payload.toString('hex') };
    case 10: {
      const busyUs = payload.length < 12 ? 0 : payload.readUInt32BE(8);
      return { name: 'PONG', hex: payload.subarray(0, 8).toString('hex'), busyUs };
    }
    case 11: {
      const reason = payload.subarray(6, 6 + 256).toString();
      return {
        name: 'GOAWAY',
        code: payload.readUInt16BE(0),
        lastId: payload.readUInt32BE(2),
        reason,
      };
    }
    default:
      return { name: 'unknown', type, id, hex: payload.toString('hex') };
  }
}

function whole(type: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([
    number(type, 1),
    number(0, 1),
    number(payload.length, 2),
    number(id, 4),
    payload,
  ]);
}

function number(value: number, size: number): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * size, '0'), 'hex');
}
