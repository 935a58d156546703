/**
 * Exits with 0 if the program in this container is ready, else with 1. It reads the address from the same
 * variables as the program (server: FAIRLEAD_HEALTH_*, agent: FAIRLEAD_HEALTH_SERVER_*). If a flag sets the
 * health port, the container needs a health check of its own.
 */
const { env } = process;
const port = env.FAIRLEAD_HEALTH_PORT || env.FAIRLEAD_HEALTH_SERVER_PORT;
const host = env.FAIRLEAD_HEALTH_BIND_ADDRESS || env.FAIRLEAD_HEALTH_SERVER_HOST || '127.0.0.1';

try {
  const answer = await fetch(`http://${host}:${port}/readyz`, {
    signal: AbortSignal.timeout(2500),
  });
  process.stdout.write(await answer.text());
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  process.stdout.write(`${error.cause?.message ?? error.message}\n`);
  process.exitCode = 1;
}
