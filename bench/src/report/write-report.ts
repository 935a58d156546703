import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasFigures, type Results } from '../results.ts';
import { chart } from './chart.ts';
import { markdown } from './markdown.ts';

/** Writes `RESULTS.md`, and replaces `charts/` with one SVG file for each measure. */
export async function writeReport(results: Results, directory: string): Promise<void> {
  const charts = join(directory, 'charts');
  await rm(charts, { recursive: true, force: true });
  await mkdir(charts, { recursive: true });
  await writeFile(join(directory, 'RESULTS.md'), markdown(results));
  for (const measure of results.measures.filter(hasFigures)) {
    await writeFile(join(charts, `${measure.name}.svg`), chart(measure));
  }
}
