/** Reads PromQL expressions with Prometheus' own grammar. */
import { parser } from '@prometheus-io/lezer-promql';

/** A selection such as `up{job="fairlead-server"}`. */
export interface Selector {
  readonly metric: string;
  /** Names of the labels in its matchers. */
  readonly labels: readonly string[];
}

/**
 * The series that an expression selects, and the labels that it groups by.
 *
 * @throws Error if the expression is not valid PromQL
 */
export function readPromql(expression: string): { selectors: Selector[]; grouping: string[] } {
  // A Grafana variable, where PromQL requires a duration.
  const text = expression.replaceAll('$__rate_interval', '1m');
  const selectors: { metric: string; labels: string[] }[] = [];
  const grouping: string[] = [];
  let inGrouping = false;
  parser.parse(text).iterate({
    enter({ name, type, from, to }) {
      const part = text.slice(from, to);
      if (type.isError) throw new Error(`no PromQL at ${from}: ${expression}`);
      if (name === 'VectorSelector') selectors.push({ metric: '', labels: [] });
      else if (name === 'GroupingLabels') inGrouping = true;
      else if (name === 'Identifier') selectors.at(-1)!.metric = part;
      else if (name === 'LabelName' && inGrouping) grouping.push(part);
      else if (name === 'LabelName') selectors.at(-1)!.labels.push(part);
    },
    leave({ name }) {
      if (name === 'GroupingLabels') inGrouping = false;
    },
  });
  if (selectors.length === 0 && !/^vector\(/.test(text))
    throw new Error(`asks for nothing: ${text}`);
  return { selectors, grouping };
}
