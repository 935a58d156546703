import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';

/** Whether a new process that imports only `name` has loaded node-forge. */
async function loadsForge(name: string): Promise<boolean> {
  const script = `
    import { createRequire } from 'node:module';
    await import('${name}');
    const files = Object.keys(createRequire(import.meta.url).cache);
    console.log(files.some((file) => file.includes('/node_modules/node-forge/')));
  `;
  const args = ['--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as boolean;
}

t.test('@fairlead/pki loads node-forge', async (t) => {
  t.equal(await loadsForge('@fairlead/pki'), true);
});

for (const name of [
  '@fairlead/pki/enrollment',
  '@fairlead/pki/issuer/options',
  '@fairlead/agent',
]) {
  t.test(`${name} does not load node-forge`, async (t) => {
    t.equal(await loadsForge(name), false);
  });
}
