import { join } from 'node:path';
import { workspaceRoot } from '@fairlead/testkit';
import ts from 'typescript';
import type { Manifest } from './manifests.ts';

/** Never written to disk. The path resolves its imports. */
const sourceFile = join(workspaceRoot, 'test/deploy/manifests-as-typescript.ts');

/**
 * Checks manifests against Kubernetes' types: unknown fields at any depth, missing fields, wrong types. In a
 * TypeScript literal an unknown property is an error, as in the API server's strict field validation.
 *
 * A compilation takes seconds for any number of manifests, so check all of them in one call.
 *
 * @returns for each manifest, a line for each mistake, with the manifest's name
 * @throws Error if the types themselves do not compile
 */
export function findMistakes(manifests: readonly Manifest[]): string[][] {
  const lines = manifests.map(
    (manifest, index) =>
      `export const m${index}: ManifestKinds['${manifest.apiVersion} ${manifest.kind}'] = ${asLiteral(manifest)};`,
  );
  const text = ["import type { ManifestKinds } from './manifest-kinds.ts';", ...lines].join('\n');
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (file) => file === sourceFile || fileExists(file);
  host.getSourceFile = (file, ...rest) =>
    file === sourceFile
      ? ts.createSourceFile(file, text, ts.ScriptTarget.ES2022)
      : getSourceFile(file, ...rest);
  const program = ts.createProgram([sourceFile], options, host);
  const mistakes = manifests.map((): string[] => []);
  for (const { file, start = 0, messageText } of ts.getPreEmitDiagnostics(program)) {
    const message = ts.flattenDiagnosticMessageText(messageText, '\n');
    const line = file?.getLineAndCharacterOfPosition(start).line ?? 0;
    const manifest = file?.fileName === sourceFile ? manifests[line - 1] : undefined;
    if (!manifest) throw new Error(`${file?.fileName}: ${message}`);
    mistakes[line - 1]!.push(`${manifest.kind} ${manifest.metadata.name}: ${message}`);
  }
  return mistakes;
}

/** Returns one line, so that a line number identifies a manifest. The types call the field `from` `_from`. */
function asLiteral(manifest: Manifest): string {
  return JSON.stringify(manifest, (_, value) => {
    if (typeof value !== 'object' || value === null || !('from' in value)) return value;
    const { from, ...others } = value;
    return { ...others, _from: from };
  });
}
