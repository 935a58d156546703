import { hasTool, runTool } from './run-tool.ts';

/**
 * Signs an executable for macOS ad hoc with Apple's codesign, or with rcodesign on other systems.
 * macOS on arm64 starts only signed files, and the injected bundle invalidated Node's own signature.
 * @returns a line that says what was done, or what the user must do
 */
export function signMacho(file: string): string {
  if (process.platform === 'darwin') {
    runTool('codesign', ['--sign', '-', '--force', file]);
    return `${file}: signed ad hoc by codesign`;
  }
  if (hasTool('rcodesign')) {
    runTool('rcodesign', ['sign', file]);
    return `${file}: signed ad hoc by rcodesign`;
  }
  return `${file}: NOT SIGNED because rcodesign was not found. Run "codesign --sign - fairlead" on a Mac before use.`;
}
