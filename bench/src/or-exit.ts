/** Returns the result of `read`. If it throws, prints one line and exits with code 2. */
export function orExit<T>(program: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    console.error(`${program}: ${(error as Error).message}`);
    process.exit(2);
  }
}
