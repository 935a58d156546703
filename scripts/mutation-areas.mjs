/**
 * The areas of `npm run mutation`: sources that are changed, and the tests that must notice it. The tests are unit
 * tests only, because each change starts them again.
 */
export const areas = {
  codec: {
    mutate: ['packages/protocol/src/wire/{decode,encode,frame,hello}.ts'],
    tests: [
      'packages/protocol/test/wire/codec.test.ts',
      'packages/protocol/test/wire/hello.test.ts',
    ],
  },
  flow: {
    mutate: ['packages/protocol/src/flow/{receive-window,memory-budget,in-flight-limit}.ts'],
    tests: [
      'packages/protocol/test/flow/receive-window.test.ts',
      'packages/protocol/test/flow/memory-budget.test.ts',
      'packages/protocol/test/flow/in-flight-limit.test.ts',
    ],
  },
  scheduler: {
    mutate: ['packages/protocol/src/flow/{send-scheduler,chunk-queue}.ts'],
    tests: [
      'packages/protocol/test/flow/send-scheduler.test.ts',
      'packages/protocol/test/flow/chunk-queue.test.ts',
    ],
  },
  routing: {
    mutate: ['packages/server/src/routing/*.ts'],
    tests: [
      'packages/server/test/routing/prefix-table.test.ts',
      'packages/server/test/routing/dial-history.test.ts',
      'packages/server/test/routing/dialer.test.ts',
      'packages/server/test/routing/router.test.ts',
    ],
  },
  policy: {
    mutate: [
      'packages/agent/src/streams/{target-policy,read-policy}.ts',
      'packages/runtime/src/net/target-rule.ts',
      'packages/server/src/front-end/front-end-policy.ts',
    ],
    tests: [
      'packages/agent/test/streams/read-policy.test.ts',
      'packages/agent/test/streams/target-policy.test.ts',
      'packages/runtime/test/net/target-rule.test.ts',
      'packages/server/test/front-end/front-end-policy.test.ts',
    ],
  },
  admission: {
    mutate: [
      'packages/server/src/agents/auth/*.ts',
      'packages/server/src/agents/{agent-identifiers,agent-peer,exclusive-claims}.ts',
    ],
    tests: [
      'packages/server/test/agents/agent-identifiers.test.ts',
      'packages/server/test/agents/agent-peer.test.ts',
      'packages/server/test/agents/exclusive-claims.test.ts',
      'packages/server/test/agents/auth/agent-authorization.test.ts',
      'packages/server/test/agents/auth/claim-constraints.test.ts',
      'packages/server/test/agents/auth/token-authenticator.test.ts',
    ],
  },
  'http-head': {
    mutate: [
      'packages/server/src/front-end/http1-head.ts',
      'packages/client/src/connect-answer.ts',
    ],
    tests: [
      'packages/server/test/front-end/http1-head.test.ts',
      'packages/client/test/connect-answer.test.ts',
    ],
  },
};
