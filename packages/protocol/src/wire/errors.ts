/**
 * One of the ways in which a stream or a session can fail: the number on the wire (docs/spec.md, section 9), the HTTP
 * status of a front end's answer, whether the same dial may succeed on another agent, and the sentence for a person.
 * The code of a row is stable: clients see it in the `fairlead-error` header (docs/errors.md).
 */
interface ErrorRow {
  readonly wire: number;
  readonly httpStatus: number;
  readonly retryElsewhere: boolean;
  readonly message: string;
}

const row = (
  wire: number,
  httpStatus: number,
  message: string,
  retryElsewhere = false,
): ErrorRow => ({ wire, httpStatus, retryElsewhere, message });

const table = {
  // Ends without a fault.
  cancelled: row(0, 499, 'the client canceled the request'),
  shutting_down: row(1, 503, 'the process is shutting down', true),
  superseded: row(2, 503, 'a newer tunnel took over', true),
  duplicate_tunnel: row(3, 503, 'the agent already has a tunnel to this server', true),

  // Violations of docs/spec.md. They end a session.
  protocol_error: row(16, 502, 'the peer violated the protocol'),
  frame_error: row(17, 502, 'a frame is malformed'),
  flow_control_error: row(18, 502, 'the peer sent more than its credit'),
  stream_id_error: row(19, 502, 'a frame names a stream that was never opened'),
  stream_closed: row(20, 502, 'data arrived after the end of a stream'),
  version_unsupported: row(21, 502, 'the peers share no protocol version'),
  hello_timeout: row(22, 504, 'the peer did not send HELLO in time', true),
  internal_error: row(23, 500, 'an internal error'),

  // The tunnel or its agent is gone.
  tunnel_lost: row(32, 502, 'the connection to the agent was lost', true),
  tunnel_silent: row(33, 504, 'the agent stopped answering', true),
  ids_exhausted: row(34, 503, 'the tunnel has used up its stream IDs', true),

  // The target, as seen by the agent.
  target_refused: row(48, 502, 'the target refused the connection'),
  target_unreachable: row(49, 502, 'the target is unreachable', true),
  dns_failed: row(50, 502, 'the name of the target could not be resolved', true),
  dial_timeout: row(51, 504, 'the target did not answer in time'),
  dial_failed: row(52, 502, 'the target could not be dialed'),
  target_reset: row(53, 502, 'the target reset the connection'),
  client_reset: row(54, 499, 'the client reset the connection'),
  agent_failed: row(55, 503, 'the agent itself cannot dial', true),

  // Decisions.
  policy_denied: row(64, 403, 'policy does not allow this target'),
  limit_reached: row(65, 503, 'a limit was reached', true),
  memory_limit: row(66, 503, 'the memory limit was reached', true),
  unauthenticated: row(67, 401, 'the peer is not authenticated'),
  unauthorized: row(68, 403, 'the peer may not claim this'),
  authentication_unavailable: row(69, 503, "the peer's identity cannot be verified right now"),

  // Front end.
  no_agent: row(80, 503, 'no agent serves this target'),
  backend_dial_timeout: row(81, 504, 'the dial through the agent took too long'),
  bad_request: row(82, 400, 'the request is malformed'),
  bad_target: row(83, 400, 'the target must be HOST:PORT with a port from 1 to 65535'),
  method_not_allowed: row(84, 405, 'only CONNECT is served here'),
  head_too_large: row(85, 431, 'the request head is too large'),
  request_timeout: row(86, 408, 'the request did not arrive in time'),
} as const satisfies Record<string, ErrorRow>;

/** A stable error code, as in docs/errors.md. */
export type ErrorCode = keyof typeof table;

/** All rows by code, for docs and metrics. */
export const errorTable: Readonly<Record<ErrorCode, ErrorRow>> = table;

const codeByWire = new Map<number, ErrorCode>(
  Object.entries(table).map(([code, { wire }]) => [wire, code as ErrorCode]),
);

/** The code of a number from the wire; `internal_error` for a number of a later version. */
export function codeFromWire(wire: number): ErrorCode {
  return codeByWire.get(wire) ?? 'internal_error';
}

/** The error of a stream or a session. Match on `code`, not on the text. */
export class TunnelError extends Error {
  readonly code: ErrorCode;

  /**
   * @param code a row of the table
   * @param detail one line that says what happened; the row's sentence by default
   */
  constructor(code: ErrorCode, detail?: string, options?: ErrorOptions) {
    super(detail ?? table[code].message, options);
    this.name = 'TunnelError';
    this.code = code;
  }

  /** The number in RESET, OPEN_FAILED and GOAWAY. */
  get wireCode(): number {
    return table[this.code].wire;
  }

  /** The status of a front end's answer. */
  get httpStatus(): number {
    return table[this.code].httpStatus;
  }

  /** Whether the same dial may succeed on another agent. */
  get retryElsewhere(): boolean {
    return table[this.code].retryElsewhere;
  }
}

/** A thrown value as a TunnelError. `fallback` is the code for errors of other classes. */
export function toTunnelError(error: unknown, fallback: ErrorCode = 'internal_error'): TunnelError {
  if (error instanceof TunnelError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new TunnelError(fallback, detail, { cause: error });
}

/** Characters that end a line, control a terminal, or change the direction of text. */
const unprintable =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the subject
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/g;

/**
 * Makes text from a peer safe for a log line, a header or a terminal: control characters become spaces, and the text is
 * cut to `maxChars`.
 */
export function cleanText(text: string, maxChars = 256): string {
  const printable = text.replace(unprintable, ' ').trim();
  return printable.length > maxChars ? `${printable.slice(0, maxChars - 1)}…` : printable;
}
