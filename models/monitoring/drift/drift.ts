import {
  benjaminiHochberg,
  finiteCount,
  hashText,
  type ReferenceColumn,
  type ReferenceProfile,
  type WindowColumn,
  type WindowProfile,
} from "../../../shared/statistics/index.ts";
import { isOutputColumn } from "../capture/columns.ts";
import type { ColumnResult, DriftReport, Metric, Thresholds, Verdict } from "../schemas.ts";
import type { Comparison } from "./comparison.ts";
import { distinctValuesOf, levelDrift, levelsOf } from "./level-drift.ts";
import { meanShift, numericDrift, referenceCount, transport } from "./numeric-drift.ts";
import { qualityFindings } from "./quality.ts";

export interface DriftRules {
  readonly thresholds: Thresholds;
  /** Below these rows a column's verdict is `inconclusive`. */
  readonly minimumRows: number;
  /** Columns to judge; null: all of the reference. */
  readonly columns: readonly string[] | null;
}

/**
 * Holds a window against the reference, column by column. A column drifts when an effect reaches its threshold and
 * exceeds what chance explains at these numbers of rows; p-values are shown beside it. (Distances alone alarm on every
 * small window, p-values alone on every large one.) The same window gives the same report.
 *
 * A column that cannot be judged says so in its result and never fails the others.
 */
export function judgeDrift(
  reference: ReferenceProfile,
  window: WindowProfile,
  rules: DriftRules,
): DriftReport {
  const names = rules.columns ?? reference.columns.map((column) => column.name);
  const results = names.map((name) => {
    const index = reference.columns.findIndex((column) => column.name === name);
    return judgeColumn(name, reference.columns[index], window.columns[index], rules, reference.seed);
  });
  const adjusted = benjaminiHochberg(results.map((result) => result.p ?? Number.NaN));
  const columns = results.map((result, i): ColumnResult => {
    const value = adjusted[i] ?? Number.NaN;
    return { ...result, adjustedP: Number.isNaN(value) ? null : value };
  });
  return summary(columns, window, rules);
}

function summary(columns: readonly ColumnResult[], window: WindowProfile, rules: DriftRules): DriftReport {
  const inputs = columns.filter((column) => column.role === "input");
  const outputs = columns.filter((column) => column.role === "output");
  const judgedInputs = inputs.filter(isJudged);
  const drifted = judgedInputs.filter((column) => column.verdict === "drift");
  const share = judgedInputs.length === 0 ? null : drifted.length / judgedInputs.length;
  const verdict: Verdict =
    share === null ? withoutJudgement(inputs) : share >= rules.thresholds.driftedShare ? "drift" : "ok";
  return {
    verdict,
    reason: reasonOf(verdict, drifted.length, judgedInputs.length, rules),
    rows: window.columns.reduce((most, column) => Math.max(most, column.count), 0),
    judgedColumns: judgedInputs.length,
    driftedColumns: columns.filter((column) => column.verdict === "drift").map((column) => column.column),
    driftedShare: share,
    predictionVerdict: outputs.some((column) => column.verdict === "drift")
      ? "drift"
      : outputs.some(isJudged)
        ? "ok"
        : withoutJudgement(outputs),
    violations: columns.reduce((total, column) => total + column.quality.length, 0),
    columns: [...columns],
  };
}

function isJudged(column: ColumnResult): boolean {
  return column.verdict === "ok" || column.verdict === "drift";
}

function withoutJudgement(columns: readonly ColumnResult[]): Verdict {
  return columns.some((column) => column.verdict === "inconclusive") ? "inconclusive" : "no_data";
}

function reasonOf(verdict: Verdict, drifted: number, judged: number, rules: DriftRules): string {
  if (verdict === "no_data") return "No column has values on both sides.";
  if (verdict === "inconclusive") return `No column could be judged; ${rules.minimumRows} rows are needed.`;
  const enough = Math.max(1, Math.ceil(rules.thresholds.driftedShare * judged - 1e-9));
  return `${drifted} of ${judged} judged columns drifted; from ${enough} on the data count as drifted.`;
}

type Unadjusted = Omit<ColumnResult, "adjustedP">;

function judgeColumn(
  name: string,
  reference: ReferenceColumn | undefined,
  window: WindowColumn | undefined,
  rules: DriftRules,
  seed: number,
): Unadjusted {
  if (reference === undefined || window === undefined) {
    return unjudged(name, undefined, "no_data", `The reference has no column "${name}".`);
  }
  try {
    return compare(reference, window, rules, hashText(name, seed));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return unjudged(name, reference, "inconclusive", `It could not be judged: ${message}`);
  }
}

function compare(
  reference: ReferenceColumn,
  window: WindowColumn,
  rules: DriftRules,
  seed: number,
): Unadjusted {
  const { name } = reference;
  const quality = qualityFindings(reference, window, rules.thresholds);
  const rows = usableRows(window);
  const without = (verdict: "no_data" | "inconclusive", reason: string): Unadjusted => ({
    ...unjudged(name, reference, verdict, reason),
    rows,
    quality,
    ...details(reference, window),
  });
  if (window.count === 0) return without("no_data", "The window has no rows with this column.");
  if (rows === 0) return without("no_data", "No row of the window has a value.");
  if (referenceRows(reference) === 0) return without("no_data", "The reference has no values.");
  if (rows < rules.minimumRows) {
    return without("inconclusive", `${rows} rows with a value; ${rules.minimumRows} are needed.`);
  }
  if (isIdentifier(reference)) {
    return without(
      "inconclusive",
      "Nearly every row of the reference has a level of its own: an identifier.",
    );
  }
  const { metrics, test, p } = distances(reference, window, rules.thresholds, seed);
  const exceeding = metrics.filter((metric) => metric.exceeds);
  const ratios = metrics.flatMap((metric) =>
    metric.threshold === null ? [] : metric.value / metric.threshold,
  );
  return {
    column: name,
    role: isOutputColumn(name) ? "output" : "input",
    kind: kindOf(reference),
    verdict: exceeding.length > 0 ? "drift" : "ok",
    reason: exceeding.length > 0 ? exceeding.map(sentence).join("; ") : withinReason(metrics),
    rows,
    metrics: [...metrics],
    severity: ratios.length === 0 ? null : Math.min(Number.MAX_VALUE, Math.max(...ratios)),
    test,
    p: Number.isNaN(p) ? null : p,
    quality,
    ...details(reference, window),
  };
}

function distances(
  reference: ReferenceColumn,
  window: WindowColumn,
  thresholds: Thresholds,
  seed: number,
): Comparison {
  if (reference.kind === "numeric" && window.kind === "numeric") {
    if (reference.distinct === undefined) return numericDrift(reference, window, thresholds, seed);
    const levels = distinctValuesOf(reference, window, finiteCount(window));
    const { metrics, ...tested } = levelDrift(levels, thresholds);
    return { metrics: [...metrics, transport(reference, window, thresholds.wasserstein, seed)], ...tested };
  }
  if (reference.kind === "categorical" && window.kind === "categorical") {
    return levelDrift(levelsOf(reference, window), thresholds);
  }
  throw new Error(`it is ${reference.kind} in the reference and ${window.kind} in the window`);
}

function unjudged(
  column: string,
  reference: ReferenceColumn | undefined,
  verdict: "no_data" | "inconclusive",
  reason: string,
): Unadjusted {
  return {
    column,
    role: isOutputColumn(column) ? "output" : "input",
    kind: reference === undefined ? "numeric" : kindOf(reference),
    verdict,
    reason,
    rows: 0,
    metrics: [],
    severity: null,
    test: null,
    p: null,
    shift: null,
    quality: [],
  };
}

function details(
  reference: ReferenceColumn,
  window: WindowColumn,
): Pick<ColumnResult, "shift" | "unseenLevels"> {
  if (reference.kind === "numeric" && window.kind === "numeric") {
    return { shift: meanShift(reference, window) };
  }
  if (window.kind === "categorical" && window.unlistedLevels.length > 0) {
    return { shift: null, unseenLevels: [...window.unlistedLevels] };
  }
  return { shift: null };
}

function kindOf(reference: ReferenceColumn): ColumnResult["kind"] {
  if (reference.kind === "categorical") return "categorical";
  return reference.distinct === undefined ? "numeric" : "discrete";
}

function usableRows(window: WindowColumn): number {
  return window.kind === "numeric" ? finiteCount(window) : window.count - window.nulls - window.mistyped;
}

function referenceRows(reference: ReferenceColumn): number {
  return reference.kind === "numeric" ? referenceCount(reference) : reference.count - reference.nulls;
}

/** Of such a column any window looks new, whatever it holds. */
function isIdentifier(reference: ReferenceColumn): boolean {
  return (
    reference.kind === "categorical" &&
    reference.distinctLevels > 100 &&
    reference.distinctLevels > (reference.count - reference.nulls) / 2
  );
}

function sentence(metric: Metric): string {
  return `${metric.metric} ${metric.value.toPrecision(3)} is at least ${metric.threshold}`;
}

function withinReason(metrics: readonly Metric[]): string {
  const noise = metrics.filter((metric) => metric.threshold !== null && metric.value >= metric.threshold);
  return noise.length === 0
    ? "Every effect is below its threshold."
    : `${noise.map(sentence).join("; ")}, but no more than chance explains at so few rows.`;
}
