#!/usr/bin/env node
// getaddrinfo can use half of libuv's threads. libuv reads this once, before an ES module could set it.
process.env.UV_THREADPOOL_SIZE ??= '64';
import('../dist/main.js');
