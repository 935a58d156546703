import { ErrorCode, FRAME_BYTES, Http2Error, MAX_WINDOW_BYTES, Setting } from './frames.ts';

const SETTING_BYTES = 6;

/** What a peer's SETTINGS change for us. */
export interface PeerSettings {
  readonly initialWindowBytes?: number;
  readonly maxFrameBytes?: number;
}

/** @throws Http2Error for a value that RFC 9113 section 6.5.2 forbids */
export function decodeSettings(payload: Buffer): PeerSettings {
  if (payload.length % SETTING_BYTES !== 0) throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR);
  const values = new Map<number, number>();
  for (let at = 0; at < payload.length; at += SETTING_BYTES) {
    values.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  }
  const maxFrameBytes = values.get(Setting.MAX_FRAME_SIZE);
  const initialWindowBytes = values.get(Setting.INITIAL_WINDOW_SIZE);
  const isPushValid = (values.get(Setting.ENABLE_PUSH) ?? 0) <= 1;
  const isFrameValid =
    maxFrameBytes === undefined || (maxFrameBytes >= FRAME_BYTES && maxFrameBytes < 2 ** 24);
  if (!isPushValid || !isFrameValid) {
    throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'a setting has an invalid value');
  }
  if ((initialWindowBytes ?? 0) > MAX_WINDOW_BYTES) {
    throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR, 'the initial window is too large');
  }
  return {
    ...(initialWindowBytes !== undefined && { initialWindowBytes }),
    ...(maxFrameBytes !== undefined && { maxFrameBytes }),
  };
}

/** The payload of SETTINGS. */
export function encodeSettings(settings: Partial<Record<keyof typeof Setting, number>>): Buffer {
  const entries = Object.entries(settings);
  const payload = Buffer.alloc(SETTING_BYTES * entries.length);
  entries.forEach(([name, value], index) => {
    payload.writeUInt16BE(Setting[name as keyof typeof Setting], SETTING_BYTES * index);
    payload.writeUInt32BE(value, SETTING_BYTES * index + 2);
  });
  return payload;
}
