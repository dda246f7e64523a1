import {
  type CategoricalReference,
  type CategoricalWindow,
  finiteCount,
  type NumericReference,
  type NumericWindow,
  normalIsf,
  type ReferenceColumn,
  type WindowColumn,
} from "../../../shared/statistics/index.ts";
import type { QualityFinding, Thresholds } from "../schemas.ts";
import { referenceCount } from "./numeric-drift.ts";

/**
 * What is wrong with a column's values, apart from their distribution. A share is a violation when it exceeds the
 * reference's by the threshold, and by more than chance explains.
 */
export function qualityFindings(
  reference: ReferenceColumn,
  window: WindowColumn,
  thresholds: Thresholds,
): QualityFinding[] {
  if (window.count === 0) return [];
  if (reference.kind === "numeric" && window.kind === "numeric") {
    return numericFindings(reference, window, thresholds);
  }
  if (reference.kind === "categorical" && window.kind === "categorical") {
    return categoricalFindings(reference, window, thresholds);
  }
  return [];
}

function numericFindings(
  reference: NumericReference,
  window: NumericWindow,
  thresholds: Thresholds,
): QualityFinding[] {
  const { name } = window;
  const judge = judgeOf(reference.count, window.count);
  const finite = finiteCount(window);
  const infinite = window.posInf + window.negInf;
  const missing = window.nulls + window.nan;
  return [
    ...types(window),
    ...(missing === window.count
      ? [emptyFinding(name, (reference.nulls + reference.nan) / reference.count)]
      : []),
    ...judge(
      "missing",
      missing,
      reference.nulls + reference.nan,
      thresholds.missingShare,
      `rows of ${name} have no value`,
    ),
    ...judge(
      "infinite",
      infinite,
      reference.posInf + reference.negInf,
      thresholds.missingShare === null ? null : 0,
      `rows of ${name} are infinite`,
    ),
    ...judgeOf(referenceCount(reference), finite)(
      "out_of_range",
      window.under + window.over,
      0,
      thresholds.outOfRangeShare,
      `values of ${name} lie outside of ${reference.min} to ${reference.max}`,
    ),
  ];
}

function categoricalFindings(
  reference: CategoricalReference,
  window: CategoricalWindow,
  thresholds: Thresholds,
): QualityFinding[] {
  const { name } = window;
  const judge = judgeOf(reference.count, window.count);
  const examples = window.unlistedLevels.slice(0, 3).map((level) => JSON.stringify(level.value));
  return [
    ...types(window),
    ...(window.nulls === window.count ? [emptyFinding(name, reference.nulls / reference.count)] : []),
    ...judge(
      "missing",
      window.nulls,
      reference.nulls,
      thresholds.missingShare,
      `rows of ${name} have no value`,
    ),
    ...(reference.other > 0
      ? []
      : judge(
          "unseen",
          window.unlisted,
          0,
          thresholds.unseenShare,
          `rows of ${name} have levels that the reference does not, such as ${examples.join(", ")}`,
        )),
  ];
}

function types(window: WindowColumn): QualityFinding[] {
  if (window.mistyped === 0) return [];
  const share = window.mistyped / window.count;
  const expected = window.kind === "numeric" ? "numbers" : "levels";
  return [
    {
      check: "type",
      share,
      referenceShare: 0,
      message: `${percent(share)} of the rows of ${window.name} are no ${expected}`,
    },
  ];
}

function emptyFinding(name: string, referenceShare: number): QualityFinding {
  return {
    check: "empty",
    share: 1,
    referenceShare: referenceShare || 0,
    message: `${name} has no values at all`,
  };
}

/** One-sided, at the same level as the floors of the distances. */
const z = normalIsf(0.01);

function judgeOf(referenceRows: number, rows: number) {
  return (
    check: QualityFinding["check"],
    found: number,
    referenceFound: number,
    threshold: number | null,
    what: string,
  ): QualityFinding[] => {
    if (threshold === null || rows === 0 || found === 0) return [];
    const share = found / rows;
    const referenceShare = referenceRows === 0 ? 0 : referenceFound / referenceRows;
    const pooled = (found + referenceFound) / (rows + referenceRows);
    const chance = z * Math.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / Math.max(1, referenceRows)));
    const growth = share - referenceShare;
    if (growth <= threshold || growth <= chance) return [];
    const before = referenceShare === 0 ? "" : `, ${percent(referenceShare)} of the reference's`;
    return [{ check, share, referenceShare, message: `${percent(share)} of the ${what}${before}` }];
  };
}

function percent(share: number): string {
  return `${(share * 100).toPrecision(3)} %`;
}
