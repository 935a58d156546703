import {
  configOptions,
  defineOptions,
  ignoredOption,
  kinds,
  option,
  refusedOption,
} from '@fairlead/runtime/options';

const group = 'Sample';

/** A table with options of each kind. */
export const sampleTable = defineOptions({
  program: 'sample',
  summary: 'sample: has one option of each kind',
  options: {
    ...configOptions,
    'agent-port': option(kinds.listenPort, { group, description: 'A port', default: 8091 }),
    'dial-timeout': option(kinds.duration({ minMs: 10 }), {
      group,
      description: 'A duration',
      default: 5000,
    }),
    'grace-time': option(kinds.duration({ zeroIsNever: true }), {
      group,
      description: 'A duration that 0 switches off',
      default: 1000,
    }),
    window: option(kinds.byteSize(1024, 1024 ** 2), {
      group,
      description: 'A size',
      default: 65_536,
    }),
    verbose: option(kinds.boolean, { group, description: 'A boolean', default: false }),
    quiet: option(kinds.boolean, { group, description: 'A boolean, on', default: true }),
    v: option(kinds.integer(0, 10), { group, description: 'A number', default: 0, short: 'v' }),
    mode: option(kinds.oneOf('grpc', 'http-connect'), { group, description: 'A word' }),
    hosts: option(kinds.list(kinds.host), { group, description: 'Hosts', default: ['127.0.0.1'] }),
    'server-id': option(kinds.identifier, {
      group,
      description: 'A name',
      makeDefault: () => 'made',
      defaultText: 'made up',
      env: ['PROXY_SERVER_ID'],
    }),
    'uds-name': option(kinds.filePath, { group, description: 'A path' }),
    proxy: option(kinds.httpUrl, { group, description: 'A URL' }),
    pin: option(kinds.integer(1000, 9999), { group, description: 'A secret', secret: true }),
    old: option(kinds.text, { group, description: 'A former option', deprecated: 'use --mode' }),
    'channel-size': ignoredOption(kinds.integer(0, 100), {
      description: 'Nothing here',
      default: 10,
      reason: 'there are no channels',
    }),
    profiling: ignoredOption(kinds.boolean, { description: 'Nothing here', reason: 'not in Go' }),
    namespace: refusedOption(kinds.text, {
      description: 'Tokens',
      reason: 'tokens are not supported yet',
    }),
    leases: refusedOption(kinds.boolean, {
      description: 'Leases',
      default: false,
      reason: 'leases are not supported yet',
    }),
  },
});
