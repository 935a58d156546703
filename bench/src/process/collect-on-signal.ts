/** A module for `--expose-gc --import`. On SIGUSR2, the process runs a garbage collection. */
process.on('SIGUSR2', () => globalThis.gc?.());
