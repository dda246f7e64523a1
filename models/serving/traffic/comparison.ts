import { type MeanAndSquares, normalIsf } from "../../../shared/statistics/index.ts";
import type { Comparison } from "../schemas.ts";
import type { Traffic, TrafficKey } from "./ledger.ts";
import { emptyTally, latencyQuantile, mergeTallies, type Tally } from "./tally.ts";

export type Estimate = Comparison["variants"][number]["errorRate"];

/**
 * Puts the variants of a deployment beside each other: each on its own, against the one that answers most, and where it
 * is a shadow of the same requests, row by row. Intervals are of 95 %; they take rows as independent, which rows of one
 * request often are not, so with large requests they are too narrow.
 *
 * @param baseline the variant that the others are compared with
 */
export function compareVariants(traffic: readonly Traffic[], baseline: string): Comparison["variants"] {
  const groups = new Map<string, { key: TrafficKey; versions: Set<string>; tally: Tally }>();
  for (const { tally, ...key } of traffic) {
    const name = `${key.shadow ? "shadow" : "variant"} ${key.variant}`;
    const group = groups.get(name) ?? { key, versions: new Set<string>(), tally: emptyTally() };
    group.versions.add(`${key.modelName}/${key.modelVersion}`);
    groups.set(name, { ...group, tally: mergeTallies(group.tally, tally) });
  }
  const base = groups.get(`variant ${baseline}`)?.tally;
  return [...groups.values()]
    .sort((a, b) => Number(a.key.shadow) - Number(b.key.shadow) || (a.key.variant < b.key.variant ? -1 : 1))
    .map(({ key, versions, tally }) => ({
      variant: key.variant,
      shadow: key.shadow,
      versions: [...versions].sort(),
      requests: tally.requests,
      rows: tally.rows,
      errors: tally.errors,
      errorRate: proportion(errorsOf(tally), tally.requests),
      latencyMs: {
        p50: latencyQuantile(tally.latency, 0.5),
        p90: latencyQuantile(tally.latency, 0.9),
        p95: latencyQuantile(tally.latency, 0.95),
        p99: latencyQuantile(tally.latency, 0.99),
      },
      outputs: Object.entries(tally.outputs).map(([name, values]) => ({
        name,
        count: values.numbers.count,
        mean: finite(values.numbers.count > 0 ? values.numbers.mean : null),
        standardDeviation: finite(Math.sqrt(variance(values.numbers))),
        min: values.min,
        max: values.max,
        nonFinite: values.nonFinite,
        labels: values.labels,
        otherLabels: values.otherLabels,
      })),
      comparedWith:
        base === undefined || (key.variant === baseline && !key.shadow)
          ? null
          : { variant: baseline, ...against(tally, base) },
      agreement: Object.entries(tally.agreement).map(([name, { rows, agreed, differences }]) => ({
        name,
        rows,
        rate: proportion(agreed, rows),
        meanDifference: mean(differences),
      })),
    }));
}

function against(tally: Tally, base: Tally) {
  return {
    errorRateDifference: proportionDifference(
      [errorsOf(tally), tally.requests],
      [errorsOf(base), base.requests],
    ),
    meanDifferences: Object.entries(tally.outputs).flatMap(([name, { numbers }]) => {
      const other = Object.hasOwn(base.outputs, name) ? base.outputs[name]?.numbers : undefined;
      return other === undefined || numbers.count === 0 || other.count === 0
        ? []
        : [{ name, difference: meanDifference(numbers, other) }];
    }),
  };
}

function errorsOf(tally: Tally): number {
  return Object.values(tally.errors).reduce((sum, count) => sum + count, 0);
}

/** Two-sided 95 %. */
const z95 = normalIsf(0.025);

/** Wilson's score interval (E. B. Wilson, "Probable inference", 1927). */
export function proportion(hits: number, total: number, z = z95): Estimate {
  if (total === 0) return { value: null, low: null, high: null };
  const p = hits / total;
  const centre = (p + (z * z) / (2 * total)) / (1 + (z * z) / total);
  const half = (z / (1 + (z * z) / total)) * Math.sqrt((p * (1 - p)) / total + (z * z) / (4 * total * total));
  return { value: p, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/** Newcombe's hybrid score interval (R. G. Newcombe, "Interval estimation for the difference", 1998, method 10). */
export function proportionDifference(
  a: readonly [number, number],
  b: readonly [number, number],
  z = z95,
): Estimate {
  const p = proportion(...a, z);
  const q = proportion(...b, z);
  if (p.value === null || q.value === null) return { value: null, low: null, high: null };
  const value = p.value - q.value;
  const below = Math.hypot(p.value - (p.low ?? 0), (q.high ?? 0) - q.value);
  const above = Math.hypot((p.high ?? 0) - p.value, q.value - (q.low ?? 0));
  return { value, low: value - below, high: value + above };
}

function mean(values: MeanAndSquares): Estimate {
  if (values.count === 0) return { value: null, low: null, high: null };
  return interval(values.mean, Math.sqrt(variance(values) / values.count));
}

/** Of independent samples with variances of their own. */
function meanDifference(a: MeanAndSquares, b: MeanAndSquares): Estimate {
  return interval(a.mean - b.mean, Math.sqrt(variance(a) / a.count + variance(b) / b.count));
}

function interval(value: number, standardError: number): Estimate {
  return { value, low: finite(value - z95 * standardError), high: finite(value + z95 * standardError) };
}

/** NaN for fewer than two values. */
function variance({ count, m2 }: MeanAndSquares): number {
  return count > 1 ? m2 / (count - 1) : Number.NaN;
}

function finite(value: number | null): number | null {
  return value !== null && Number.isFinite(value) ? value : null;
}
