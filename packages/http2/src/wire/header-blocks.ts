import { HpackDecoder } from '../hpack/hpack-decoder.ts';
import { ErrorCode, Flag, FRAME_BYTES, Http2Error } from './frames.ts';
import { HeadBuilder } from './request-head.ts';

/** A header block may be sent in so many pieces (CVE-2024-27316). */
const MAX_PIECES = 16;

/** A header section that has arrived: a request, or trailers. */
export interface HeaderSection {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly head: HeadBuilder;
  /** The deprecated priority fields make the stream depend on itself. */
  readonly dependsOnItself: boolean;
}

/** Joins HEADERS and CONTINUATION to header blocks and decodes them (RFC 9113 sections 6.2 and 6.10). */
export class HeaderBlocks {
  readonly #decoder = new HpackDecoder();
  readonly #maxHeadBytes: number;
  /** The pieces of a block that is not complete; empty between blocks. */
  #pieces: Buffer[] = [];
  #bytes = 0;
  #streamId = 0;
  #endStream = false;
  #dependsOnItself = false;

  constructor(maxHeadBytes: number) {
    this.#maxHeadBytes = maxHeadBytes;
  }

  /** @throws Http2Error if another frame comes before the block is complete */
  requireComplete(): void {
    if (this.#pieces.length > 0) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'a header block is not complete');
    }
  }

  /** @returns the section, if the block is complete */
  onHeaders(flags: number, streamId: number, payload: Buffer): HeaderSection | undefined {
    this.requireComplete();
    if (streamId % 2 === 0) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, `a client cannot open stream ${streamId}`);
    }
    let from = 0;
    let to = payload.length;
    if (flags & Flag.PADDED) {
      from = 1;
      to -= payload[0] ?? 1;
    }
    const dependency = from;
    if (flags & Flag.PRIORITY) from += 5;
    if (from > to) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'HEADERS is too short');
    this.#streamId = streamId;
    this.#endStream = (flags & Flag.END_STREAM) !== 0;
    this.#dependsOnItself = from > dependency && parentOf(payload, dependency) === streamId;
    return this.#add(flags, payload.subarray(from, to));
  }

  /** @returns the section, if the block is complete */
  onContinuation(flags: number, streamId: number, payload: Buffer): HeaderSection | undefined {
    if (this.#pieces.length === 0 || streamId !== this.#streamId) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'CONTINUATION is not expected here');
    }
    return this.#add(flags, payload);
  }

  #add(flags: number, piece: Buffer): HeaderSection | undefined {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#pieces.length > MAX_PIECES || this.#bytes > this.#maxHeadBytes + FRAME_BYTES) {
      throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, 'a header block is too long');
    }
    if (!(flags & Flag.END_HEADERS)) return undefined;
    const block = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces, this.#bytes);
    this.#pieces = [];
    this.#bytes = 0;
    const head = new HeadBuilder(this.#maxHeadBytes);
    this.#decoder.decode(block, head.onField);
    return {
      streamId: this.#streamId,
      endStream: this.#endStream,
      head,
      dependsOnItself: this.#dependsOnItself,
    };
  }
}

/** The stream on which a PRIORITY field depends. */
export function parentOf(payload: Buffer, at: number): number {
  return payload.readUInt32BE(at) & 0x7fff_ffff;
}

/** Checks the payload of frames with one size. @throws Http2Error */
export function requireSize(payload: Buffer, bytes: number): void {
  if (payload.length !== bytes) throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR);
}

/** Frames of the whole connection have stream 0. @throws Http2Error */
export function requireConnection(streamId: number): void {
  if (streamId !== 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'the frame has a stream ID');
}
