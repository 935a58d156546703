/** Loaded into a Node process with `--expose-gc --import`: SIGUSR2 collects its garbage. */
process.on('SIGUSR2', () => globalThis.gc?.());
