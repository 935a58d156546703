/** What `read` returns; what it throws ends the program with one line and exit code 2. */
export function orExit<T>(program: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    console.error(`${program}: ${(error as Error).message}`);
    process.exit(2);
  }
}
