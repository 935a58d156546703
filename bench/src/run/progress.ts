import type { Measure, Values } from '../measures/measure.ts';
import { formatFigure } from '../report/figures.ts';

/** Prints progress on stderr. Tables go to stdout. */
export const progress = {
  say(text: string): void {
    console.error(text);
  },

  warn(text: string): void {
    console.error(`!! ${text}`);
  },

  round(measure: Measure, round: number, system: string, values: Values): void {
    const charted = measure.columns.filter(({ key }) => measure.charted.includes(key));
    const figures = charted.map(
      ({ key, title, unit }) => `${title} ${formatFigure(values[key])} ${unit}`,
    );
    console.error(`   ${measure.name} #${round} ${system}: ${figures.join(', ')}`);
  },
};
