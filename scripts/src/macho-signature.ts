import { hasTool, runTool } from './run-tool.ts';

/**
 * Signs an executable for macOS ad hoc, with what there is: Apple's codesign, or rcodesign, which runs anywhere.
 * macOS on arm64 starts nothing that is not signed, and Node's own signature went with the change of the file.
 * @returns what was done, or what is left to do
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
  return `${file}: NOT SIGNED, for there is no rcodesign here: run "codesign --sign - fairlead" on a Mac before use`;
}
