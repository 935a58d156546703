/**
 * Runs the demo and draws its output as docs/demo.svg, an animation without scripts.
 *
 *   npm run build && node scripts/record-demo.mjs
 *
 * The lines appear in order and with the pauses of the run. A pause lasts at most one second.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../examples/dist/main.js', import.meta.url));
const output = fileURLToPath(new URL('../docs/demo.svg', import.meta.url));

const maxPauseMs = 1000;
const maxColumns = 112;
const font = { size: 13, width: 7.83, lineHeight: 19 };
const margin = 18;
const headHeight = 30;

const lines = [{ atMs: 0, text: '$ npm ci && npm start' }];
const started = performance.now();
const demo = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
for await (const text of createInterface({ input: demo.stdout })) {
  lines.push({ atMs: performance.now() - started, text });
  if (text.startsWith('Ctrl-C ends')) demo.kill('SIGINT');
}
if (!lines.some(({ text }) => text.includes('GET /pods: 200'))) {
  console.error('The demo printed no successful request. docs/demo.svg is unchanged.');
  process.exit(1);
}
writeFileSync(output, draw(lines));

function draw(recorded) {
  let shownAt = 0.8;
  let before = 0;
  const rows = recorded.map(({ atMs, text }, at) => {
    if (at > 0) shownAt += Math.max(Math.min(atMs - before, maxPauseMs), 60) / 1000;
    before = atMs;
    return row(text.replace(/\/tmp\/fairlead-\w+/g, '/tmp/fairlead'), at, shownAt);
  });
  const width = Math.ceil(maxColumns * font.width + 2 * margin);
  const height = headHeight + recorded.length * font.lineHeight + 2 * margin;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="Recording of npm start: a request through the tunnel answers 200">
<style>
text{font:${font.size}px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d5dae3;white-space:pre}
.command{fill:#fff;font-weight:600}.arrow{fill:#7ee0a1}.title{fill:#8b93a3}
.line{opacity:0;animation:show .05s linear forwards}
@keyframes show{to{opacity:1}}
@media (prefers-reduced-motion:reduce){.line{opacity:1;animation:none}}
</style>
<rect width="${width}" height="${height}" rx="8" fill="#161a22"/>
<circle cx="20" cy="16" r="5" fill="#ff6159"/><circle cx="38" cy="16" r="5" fill="#ffbd2e"/><circle cx="56" cy="16" r="5" fill="#28c941"/>
<text class="title" x="${width / 2}" y="20" text-anchor="middle">fairlead</text>
${rows.join('\n')}
</svg>
`;
}

function row(text, at, seconds) {
  const y = headHeight + margin + at * font.lineHeight + font.size;
  const shown = text.length > maxColumns ? `${text.slice(0, maxColumns - 1)}…` : text;
  const kind = text.startsWith('$') ? ' command' : text.includes(' -> ') ? ' arrow' : '';
  const escaped = shown.replace(
    /[&<>]/g,
    (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[one],
  );
  return `<text class="line${kind}" style="animation-delay:${seconds.toFixed(2)}s" x="${margin}" y="${y}" xml:space="preserve">${escaped}</text>`;
}
