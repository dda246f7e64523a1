import type { Comparison, Decision, Promotion } from "../schemas.ts";
import type { CompareResult } from "./compare.worker.ts";

/** Decides whether a new version takes the alias. `result` is null when nothing was compared. */
export function decide(
  { policy, alias, minDelta }: Promotion,
  champion: number | null,
  result: CompareResult | null,
): Decision {
  const comparison = result?.kind === "compared" ? result.comparison : null;
  const decision = (promoted: boolean, reason: string): Decision => ({
    promoted,
    reason,
    alias,
    policy,
    champion,
    comparison,
  });
  const found = comparison === null ? "" : ` ${describe(comparison, champion)}`;
  if (policy === "never") return decision(false, `The policy is never to promote.${found}`);
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
  const name = metric === "logLoss" ? "Log loss" : "Mean squared error";
  const [a, b, d, l, h] = [challenger, before, delta, low, high].map((value) => Number(value.toPrecision(4)));
  return `${name} ${a} against ${b} of version ${champion} on ${rows} rows: lower by ${d} (95 % interval ${l} to ${h}, ${method}).`;
}
