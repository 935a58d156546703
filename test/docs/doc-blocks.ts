/**
 * Finds the commands in a Markdown page, and how to test each one. The test runs every fenced `sh` block,
 * unless a comment directly above the fence has a marker:
 *
 *     <!-- docs-test: suite=NAME -->          another suite runs it: `npm run test:NAME`, or a file in
 *                                             test/ whose path contains NAME
 *     <!-- docs-test: cannot-run: REASON -->  no test runs it, for this reason
 *     <!-- docs-test: background until=TEXT --> it keeps running; the next block waits for TEXT
 *     <!-- docs-test: exit=N -->              it exits with this code
 *
 * `page` before `suite=` or `cannot-run:`, anywhere on the page, applies to all blocks of the page without
 * their own marker.
 */

/** How to test a block. */
export type Marker =
  | { readonly kind: 'run'; readonly exitCode: number }
  | { readonly kind: 'background'; readonly until: string }
  | { readonly kind: 'suite'; readonly name: string }
  | { readonly kind: 'cannot-run'; readonly reason: string };

export interface DocBlock {
  /** The line of the fence. */
  readonly line: number;
  readonly code: string;
  readonly marker: Marker;
}

export interface DocPage {
  readonly blocks: readonly DocBlock[];
  /** Problems with the page's markers and fences, one line each. */
  readonly problems: readonly string[];
}

const shellWords = new Set(['bash', 'shell', 'console', 'shell-session', 'zsh', 'terminal']);
/** How commands in these docs begin. */
const command =
  /^(?:\$ |sudo |npx |npm |node |fairlead|curl |openssl |kubectl |docker|systemctl |apt-get |dpkg )/;
const shortestReason = 10;

/** Reads a page. @param name appears in the problems */
export function readDocPage(name: string, markdown: string): DocPage {
  const problems: string[] = [];
  const blocks: DocBlock[] = [];
  const lines = markdown.split('\n');
  let pageMarker: Marker | undefined;
  let marker: Marker | undefined;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    const complain = (text: string) => problems.push(`${name}:${at + 1}: ${text}`);
    const written = /^\s*<!--\s*docs-test:\s*(.*?)\s*-->\s*$/.exec(line)?.[1];
    if (written !== undefined) {
      const isPage = written.startsWith('page ');
      const read = readMarker(isPage ? written.slice('page '.length) : written);
      if (!read)
        complain(`"docs-test: ${written}" is not a marker (test/docs/doc-blocks.ts lists them)`);
      else if (isPage) pageMarker = read;
      else marker = read;
      continue;
    }
    const fence = /^(\s*)(`{3,}|~{3,})(\S*)\s*$/.exec(line);
    if (fence) {
      const [, indent = '', ticks = '', language = ''] = fence;
      const first = at + 1;
      while (++at < lines.length && lines[at]!.trim() !== ticks);
      const code = lines.slice(first, at).map((row) => row.slice(indent.length));
      if (shellWords.has(language)) {
        problems.push(`${name}:${first}: mark a block of commands as \`sh\`, not \`${language}\``);
      } else if (language === '' && code.some((row) => command.test(row))) {
        problems.push(`${name}:${first}: this block has commands: mark it as \`sh\``);
      } else if (language === 'sh') {
        const chosen = marker ?? pageMarker ?? { kind: 'run', exitCode: 0 };
        blocks.push({ line: first, code: code.join('\n'), marker: chosen });
      }
      marker = undefined;
      continue;
    }
    if (/^ {4,}/.test(line) && command.test(line.trim()) && isCodeStart(lines, at)) {
      complain('commands in an indented block: use a fenced `sh` block');
    }
    if (line.trim() !== '') marker = undefined;
  }
  return { blocks, problems };
}

function readMarker(written: string): Marker | undefined {
  const suite = /^suite=([a-z][a-z0-9-]*)$/.exec(written)?.[1];
  if (suite !== undefined) return { kind: 'suite', name: suite };
  const reason = /^cannot-run:\s*(.+)$/.exec(written)?.[1];
  if (reason !== undefined && reason.length >= shortestReason)
    return { kind: 'cannot-run', reason };
  const until = /^background until=(.+)$/.exec(written)?.[1];
  if (until !== undefined) return { kind: 'background', until };
  const exitCode = /^exit=(\d+)$/.exec(written)?.[1];
  if (exitCode !== undefined) return { kind: 'run', exitCode: Number(exitCode) };
  return undefined;
}

/** An indented code block starts after an empty line; other indented lines continue a list or a paragraph. */
function isCodeStart(lines: readonly string[], at: number): boolean {
  return at === 0 || lines[at - 1]!.trim() === '' || /^ {4,}/.test(lines[at - 1]!);
}
