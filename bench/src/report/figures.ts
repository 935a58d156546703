import type { Column } from '../measures/measure.ts';

/** The title and unit of a column. */
export function columnTitle({ title, unit }: Column, separator: string): string {
  return unit === '' ? title : `${title}${separator}${unit}`;
}

/** A number with three significant digits and separated thousands, or a dash if there is none. */
export function formatFigure(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '–';
  if (value === Number.POSITIVE_INFINITY) return '∞';
  const magnitude = Math.abs(value);
  if (magnitude >= 1000) return Math.round(value).toLocaleString('en');
  if (magnitude >= 100) return value.toFixed(0);
  if (magnitude >= 10) return value.toFixed(1);
  return value.toFixed(2);
}
