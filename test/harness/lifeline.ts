/**
 * Loaded before each test file. It ties the file's processes to the harness: if the harness is gone,
 * even by SIGKILL, the whole process group of the file ends.
 */
const { channel } = process;
if (channel) {
  process.on('disconnect', () => process.kill(-process.pid, 'SIGKILL'));
  // A listener keeps the channel referenced; a test file must be able to end by itself.
  channel.unref();
}
