import { baselinesText } from "../evaluation/baselines.ts";
import type { Baselines, Comparison, Decision, Promotion } from "../schemas.ts";
import type { CompareResult } from "./compare.worker.ts";
import { lossNames } from "./losses.ts";

/**
 * Decides whether a new version takes the alias. `result` is null when nothing was compared. What is not better than a
 * constant never becomes the first champion by `if-better`, and whatever is promoted in spite of it says so.
 */
export function decide(
  { policy, alias, minDelta }: Promotion,
  champion: number | null,
  result: CompareResult | null,
  baselines: Baselines,
): Decision {
  const comparison = result?.kind === "compared" ? result.comparison : null;
  const decision = (promoted: boolean, reason: string): Decision => ({
    promoted,
    reason: baselines.beaten ? reason : `${reason} ${baselinesText(baselines)}`,
    alias,
    policy,
    champion,
    comparison,
  });
  const found = comparison === null ? "" : ` ${describe(comparison, champion)}`;
  if (policy === "never") return decision(false, `The policy is never to promote.${found}`);
  if (champion === null && policy === "if-better" && !baselines.beaten) {
    return decision(false, `There is no ${alias} yet, and the model is no better than none.`);
  }
  if (champion === null)
    return decision(true, `There is no ${alias} yet; the first version takes the alias.`);
  if (policy === "always") return decision(true, `The policy is always to promote.${found}`);
  if (comparison === null) {
    const why = result?.kind === "incomparable" ? `: ${result.reason}` : "";
    return decision(false, `Version ${champion}, the ${alias}, cannot be compared on this holdout${why}.`);
  }
  if (comparison.low > minDelta) return decision(true, `The new version is better.${found}`);
  if (comparison.high < -minDelta) return decision(false, `The new version is worse.${found}`);
  const bar = minDelta === 0 ? "" : ` by more than ${minDelta}`;
  return decision(false, `The new version is not surely better${bar}.${found}`);
}

function describe(comparison: Comparison, champion: number | null): string {
  const { metric, challenger, champion: before, delta, low, high, rows, method } = comparison;
  const name = lossNames[metric];
  const [a, b, d, l, h] = [challenger, before, delta, low, high].map((value) => Number(value.toPrecision(4)));
  return `${name} ${a} against ${b} of version ${champion} on ${rows} rows: lower by ${d} (95 % interval ${l} to ${h}, ${method}). ${seenText(comparison, champion)}`;
}

function seenText({ seenByChampion, rows }: Comparison, champion: number | null): string {
  if (seenByChampion === null) return `How many of them version ${champion} was trained on is not known.`;
  if (seenByChampion === 0) return `Version ${champion} was trained on none of them.`;
  return `Version ${champion} was trained on ${seenByChampion} of these ${rows} rows, which flatters it.`;
}
