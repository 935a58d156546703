/** Every option of `fairlead bench`, once. */
import { defineOptions, kinds, type OptionsOf, option } from '@fairlead/runtime/options';
import { proxyOptions } from '../proxy-options.ts';

const target = 'Target';
const load = 'Load';
const output = 'Output';
const thresholds = 'Thresholds (exit code 1 when missed)';

/** What is done with a `tcp://` target. */
const tcpModes = ['echo', 'open', 'upload', 'download'] as const;

const path = { ...kinds.filePath, placeholder: 'FILE' };

export const benchTable = defineOptions({
  program: 'fairlead bench',
  summary: 'Put load on a target through a running server, and measure',
  options: {
    ...proxyOptions,
    'proxy-protocol': option(kinds.oneOf('http1', 'http2', 'grpc'), {
      group: 'Front end',
      description:
        'How to ask for streams: a connection each with HTTP/1.1 CONNECT or with gRPC, or HTTP/2 CONNECT over few connections',
      default: 'http1',
    }),
    connections: option(kinds.integer(1, 1000), {
      group: 'Front end',
      description: 'Over how many connections the streams are spread, with --proxy-protocol=http2',
      default: 1,
    }),
    target: option(
      { ...kinds.text, placeholder: 'URL' },
      {
        group: target,
        description:
          'Where the load goes, as the agent sees it: http://HOST:PORT/PATH, https://HOST:PORT/PATH, or tcp://HOST:PORT',
        required: true,
      },
    ),
    mode: option(kinds.oneOf(...tcpModes), {
      group: target,
      description:
        'What to do with a tcp:// target: echo sends a message and waits for it; open opens, gets one byte back and closes; upload sends, download receives without pause',
      defaultText: 'echo',
    }),
    method: option(
      { ...kinds.text, placeholder: 'METHOD' },
      {
        group: target,
        description: 'Method of HTTP requests',
        defaultText: 'GET; POST with --payload',
      },
    ),
    header: option(kinds.list({ ...kinds.text, placeholder: 'NAME: VALUE' }), {
      group: target,
      description: 'Header of HTTP requests; may be repeated',
      default: [],
      secret: true,
    }),
    'new-connections': option(kinds.boolean, {
      group: target,
      description: 'A stream of its own for every HTTP request, instead of keep-alive',
      default: false,
    }),
    'target-ca-cert': option(kinds.filePath, {
      group: target,
      description: "CA of an https:// target's certificate",
      defaultText: "Node's public CAs",
    }),
    'target-cert': option(kinds.filePath, {
      group: target,
      description: 'Certificate to show to an https:// target, such as a kubelet',
    }),
    'target-key': option(kinds.filePath, {
      group: target,
      description: 'Key of --target-cert',
    }),
    'target-insecure': option(kinds.boolean, {
      group: target,
      description: "Take any certificate of an https:// target's",
      default: false,
    }),
    streams: option(kinds.integer(1, 100_000), {
      group: load,
      description: 'Streams at once, with one request or message under way on each',
      default: 10,
    }),
    payload: option(kinds.byteSize(1, 2 ** 30), {
      group: load,
      description: 'Size of a message, of a write of an upload, or of the body of an HTTP request',
      defaultText: '128 for echo, 64KiB for upload, no body for HTTP',
    }),
    rate: option(kinds.decimal(0.01, 1e9), {
      group: load,
      description:
        'Requests, messages or opens per second, of all streams together; latency then counts from when each was due',
      defaultText: 'as fast as answers come',
    }),
    duration: option(kinds.duration({ minMs: 100 }), {
      group: load,
      description: 'How long to measure',
      default: 10_000,
    }),
    'warm-up': option(kinds.duration(), {
      group: load,
      description: 'How long to run before measuring',
      default: 1000,
    }),
    ramp: option(kinds.duration(), {
      group: load,
      description: 'Over which time to open the streams, before the warm-up',
      default: 0,
    }),
    timeout: option(kinds.duration({ minMs: 1 }), {
      group: load,
      description: 'An answer that takes longer is an error',
      default: 10_000,
    }),
    wait: option(kinds.duration(), {
      group: load,
      description: 'How long to wait for the target to be reachable before giving up',
      default: 0,
    }),
    json: option(path, {
      group: output,
      description: 'Write the report as JSON; - for stdout, instead of the summary',
    }),
    html: option(path, {
      group: output,
      description: 'Write the report as a page with charts that needs nothing else',
    }),
    quiet: option(kinds.boolean, {
      group: output,
      description: 'No progress on stderr',
      default: false,
    }),
    'fail-p50': option(kinds.duration({ minMs: 1 }), {
      group: thresholds,
      description: 'Longest median latency',
    }),
    'fail-p90': option(kinds.duration({ minMs: 1 }), {
      group: thresholds,
      description: 'Longest 90th percentile of the latency',
    }),
    'fail-p99': option(kinds.duration({ minMs: 1 }), {
      group: thresholds,
      description: 'Longest 99th percentile of the latency',
    }),
    'fail-p999': option(kinds.duration({ minMs: 1 }), {
      group: thresholds,
      description: 'Longest 99.9th percentile of the latency',
    }),
    'fail-max': option(kinds.duration({ minMs: 1 }), {
      group: thresholds,
      description: 'Longest latency of all',
    }),
    'fail-errors': option(kinds.ratio, {
      group: thresholds,
      description: 'Largest part of requests, messages or opens that may fail',
    }),
    'min-rate': option(kinds.decimal(0, 1e9), {
      group: thresholds,
      description: 'Least requests, messages or opens per second',
    }),
    'min-throughput': option(kinds.byteSize(1, Number.MAX_SAFE_INTEGER), {
      group: thresholds,
      description: 'Least bytes per second',
    }),
  },
});

export type BenchFlags = OptionsOf<typeof benchTable>;
