import { defineOptions, kinds, type OptionsOf, option } from '@fairlead/runtime/options';
import { proxyOptions } from '../proxy-options.ts';

const target = 'Target';
const load = 'Load';
const output = 'Output';
const thresholds = 'Thresholds (exit code 1 if missed)';

const tcpModes = ['echo', 'open', 'upload', 'download'] as const;

const path = { ...kinds.filePath, placeholder: 'FILE' };

const highest = (figure: string) =>
  option(kinds.duration({ minMs: 1 }), {
    group: thresholds,
    description: `Highest allowed ${figure}`,
  });

export const benchTable = defineOptions({
  program: 'fairlead bench',
  summary: 'Put load on a target through a running server, and measure',
  examples: ['fairlead bench --proxy unix:front-end.sock --target http://node-1:80/'],
  options: {
    ...proxyOptions,
    'proxy-protocol': option(kinds.oneOf('http1', 'http2', 'grpc'), {
      group: 'Front end',
      description:
        'Protocol of the front end: http1 and grpc open a connection for each stream, http2 shares --connections',
      default: 'http1',
    }),
    connections: option(kinds.integer(1, 1000), {
      group: 'Front end',
      description: 'Connections that the streams share, with --proxy-protocol=http2',
      default: 1,
    }),
    target: option(
      { ...kinds.text, placeholder: 'URL' },
      {
        group: target,
        description:
          'Target that the agent dials: http://HOST:PORT/PATH, https://HOST:PORT/PATH, or tcp://HOST:PORT',
        required: true,
      },
    ),
    mode: option(kinds.oneOf(...tcpModes), {
      group: target,
      description:
        'Load for a tcp:// target: echo sends a message and waits for it; open opens a stream, gets one byte back and closes it; upload sends and download receives without pause',
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
      description: 'Header of HTTP requests; can be repeated',
      default: [],
      secret: true,
    }),
    'new-connections': option(kinds.boolean, {
      group: target,
      description: 'Open a new stream for each HTTP request, instead of keep-alive',
      default: false,
    }),
    'target-ca-cert': option(kinds.filePath, {
      group: target,
      description: "CA of an https:// target's certificate",
      defaultText: "Node's public CAs",
    }),
    'target-cert': option(kinds.filePath, {
      group: target,
      description: 'Client certificate for an https:// target, such as a kubelet',
    }),
    'target-key': option(kinds.filePath, {
      group: target,
      description: 'Key of --target-cert',
    }),
    'target-insecure': option(kinds.boolean, {
      group: target,
      description: 'Accept any certificate of an https:// target',
      default: false,
    }),
    streams: option(kinds.integer(1, 100_000), {
      group: load,
      description: 'Concurrent streams, with one request or message at a time on each',
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
        'Requests, messages or opens per second of all streams together; latency then counts from when each was due',
      defaultText: 'as fast as answers arrive',
    }),
    duration: option(kinds.duration({ minMs: 100 }), {
      group: load,
      description: 'Duration of the measurement',
      default: 10_000,
    }),
    'warm-up': option(kinds.duration(), {
      group: load,
      description: 'Duration of the load before the measurement',
      default: 1000,
    }),
    ramp: option(kinds.duration(), {
      group: load,
      description: 'Time over which the streams are opened, before the warm-up',
      default: 0,
    }),
    timeout: option(kinds.duration({ minMs: 1 }), {
      group: load,
      description: 'An answer that takes longer is an error',
      default: 10_000,
    }),
    wait: option(kinds.duration(), {
      group: load,
      description: 'How long to retry until the target is reachable',
      default: 0,
    }),
    json: option(path, {
      group: output,
      description: 'Write the report as JSON; - prints it instead of the summary',
    }),
    html: option(path, {
      group: output,
      description: 'Write the report as a self-contained page with charts',
    }),
    quiet: option(kinds.boolean, {
      group: output,
      description: 'Do not print progress on stderr',
      default: false,
    }),
    'fail-p50': highest('median latency'),
    'fail-p90': highest('90th percentile of the latency'),
    'fail-p99': highest('99th percentile of the latency'),
    'fail-p999': highest('99.9th percentile of the latency'),
    'fail-max': highest('latency'),
    'fail-errors': option(kinds.ratio, {
      group: thresholds,
      description: 'Highest allowed share of failed requests, messages or opens',
    }),
    'min-rate': option(kinds.decimal(0, 1e9), {
      group: thresholds,
      description: 'Lowest allowed requests, messages or opens per second',
    }),
    'min-throughput': option(kinds.byteSize(1, Number.MAX_SAFE_INTEGER), {
      group: thresholds,
      description: 'Lowest allowed bytes per second',
    }),
  },
});

export type BenchFlags = OptionsOf<typeof benchTable>;
