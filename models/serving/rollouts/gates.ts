import { callersFaults } from "../../../shared/errors.ts";
import { normalIsf } from "../../../shared/statistics/index.ts";
import { proportion, proportionDifference } from "../comparison.ts";
import { latencyQuantile, type Tally } from "../tally.ts";
import type { Evidence } from "./evidence.ts";
import type { Gate, Signal, Verdict } from "./schemas.ts";

/**
 * A verdict for each gate that this kind of step can judge. A gate fails when the whole interval of its signal lies
 * beyond the limit, passes when the value is within it, and waits otherwise: for its requests, or for enough of them to
 * tell a breach from chance. The intervals are of 99 %, for they are looked at many times.
 */
export function judgeGates(gates: readonly Gate[], evidence: Evidence): Verdict[] {
  return gates.filter(({ signal }) => isJudged(signal, evidence.copies)).map((gate) => judge(gate, evidence));
}

/** @param copies whether the step sends the new variant copies only */
export function isJudged(signal: Signal, copies: boolean): boolean {
  return copies ? judgedOnCopies.has(signal) : signal !== "agreement";
}

const judgedOnCopies: ReadonlySet<Signal> = new Set(["error_rate", "invalid_output_share", "agreement"]);

/** Two-sided 99 %. */
const z = normalIsf(0.005);

interface Estimate {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

function judge(gate: Gate, { ours, champions }: Evidence): Verdict {
  const limit = gate.signal === "agreement" ? gate.min : gate.max;
  const compared = comparedWithChampion.has(gate.signal);
  const counts = {
    requests: ours.requests,
    championRequests: compared ? champions.requests : null,
  };
  const { estimate, what } = measure(gate.signal, ours, champions);
  const about = { signal: gate.signal, limit, ...estimate, ...counts };
  const short = [
    ...(ours.requests < gate.minimumRequests ? [`${ours.requests} of the new variant's`] : []),
    ...(compared && champions.requests < gate.minimumRequests
      ? [`${champions.requests} of the champion's`]
      : []),
  ];
  if (short.length > 0) {
    const sentence = `Only ${short.join(" and ")} requests so far; ${gate.minimumRequests} are needed.`;
    return { ...about, verdict: "wait", sentence };
  }
  const { value, low, high } = estimate;
  if (value === null) {
    return { ...about, verdict: "wait", sentence: `There is nothing yet to judge the ${what} by.` };
  }
  const written = writtenAs(gate.signal);
  const [atMost, within, beyond] =
    gate.signal === "agreement"
      ? [false, value >= limit, high !== null && high < limit]
      : [true, value <= limit, low !== null && low > limit];
  const interval = `between ${written(low)} and ${high === null ? "any more" : written(high)} with 99 %`;
  const rule = `${written(limit)} is the ${atMost ? "most" : "least"} allowed`;
  const sentence = `The ${what} is ${written(value)} over ${ours.requests} requests, ${interval}; ${rule}.`;
  if (within) return { ...about, verdict: "pass", sentence };
  if (beyond) return { ...about, verdict: "fail", sentence };
  return { ...about, verdict: "wait", sentence: `${sentence} More requests will tell it from chance.` };
}

const comparedWithChampion: ReadonlySet<Signal> = new Set([
  "error_rate_difference",
  "latency_p95_ratio",
  "latency_p99_ratio",
]);

function writtenAs(signal: Signal): (value: number | null) => string {
  if (signal === "latency_p95_ratio" || signal === "latency_p99_ratio") {
    return (value) => `${Number((value ?? 0).toFixed(2))} times`;
  }
  return (value) => `${Number((100 * (value ?? 0)).toFixed(2))} %`;
}

function measure(signal: Signal, ours: Tally, champions: Tally): { estimate: Estimate; what: string } {
  switch (signal) {
    case "error_rate":
      return {
        estimate: proportion(errorsOf(ours, false), ours.requests, z),
        what: "share of requests that failed",
      };
    case "error_rate_difference":
      return {
        estimate: proportionDifference(
          [errorsOf(ours, true), ours.requests],
          [errorsOf(champions, true), champions.requests],
          z,
        ),
        what: "share of failed requests less the champion's",
      };
    case "latency_p95_ratio":
      return {
        estimate: quantileRatio(ours, champions, 0.95),
        what: "95th percentile of latency against the champion's",
      };
    case "latency_p99_ratio":
      return {
        estimate: quantileRatio(ours, champions, 0.99),
        what: "99th percentile of latency against the champion's",
      };
    case "invalid_output_share": {
      const outputs = Object.entries(ours.outputs).map(([name, { numbers, nonFinite }]) => ({
        name,
        hits: nonFinite,
        total: numbers.count + nonFinite,
      }));
      const [worst] = outputs
        .filter(({ total }) => total > 0)
        .toSorted((a, b) => b.hits / b.total - a.hits / a.total);
      // Outputs of texts alone have no numbers that could be invalid.
      if (worst === undefined) {
        const none = Object.keys(ours.outputs).length > 0 ? 0 : null;
        return { estimate: { value: none, low: none, high: none }, what: "share of NaN and infinities" };
      }
      return {
        estimate: proportion(worst.hits, worst.total, z),
        what: `share of NaN and infinities in output "${worst.name}"`,
      };
    }
    case "agreement": {
      const outputs = Object.entries(ours.agreement).filter(([, { rows }]) => rows > 0);
      const [worst] = outputs.toSorted(([, a], [, b]) => a.agreed / a.rows - b.agreed / b.rows);
      if (worst === undefined) {
        return { estimate: { value: null, low: null, high: null }, what: "agreement with the champion" };
      }
      const [name, { agreed, rows }] = worst;
      return {
        estimate: proportion(agreed, rows, z),
        what: `agreement with the champion in output "${name}"`,
      };
    }
  }
}

/** By themselves they say nothing about a version; against the champion's share they do. */
function errorsOf({ errors }: Tally, withCallersFaults: boolean): number {
  return Object.entries(errors).reduce(
    (sum, [kind, count]) => (withCallersFaults || !callersFaults.has(kind) ? sum + count : sum),
    0,
  );
}

/**
 * The ends come from the ranks that hold each quantile with 99 % (normal approximation of the binomial), set against each
 * other the unfavourable way, so the interval is rather too wide.
 */
function quantileRatio(ours: Tally, champions: Tally, probability: number): Estimate {
  const a = quantile(ours, probability);
  const b = quantile(champions, probability);
  if (a.value === null || b.value === null) return { value: null, low: null, high: null };
  return {
    value: a.value / b.value,
    low: b.high === null ? 0 : (a.low ?? 0) / b.high,
    high: a.high === null || b.low === null ? null : a.high / b.low,
  };
}

function quantile({ latency }: Tally, probability: number): Estimate {
  const count = Object.values(latency).reduce((sum, each) => sum + each, 0);
  if (count === 0) return { value: null, low: null, high: null };
  const half = z * Math.sqrt((probability * (1 - probability)) / count);
  const at = (rank: number) => (rank <= 0 || rank >= 1 ? null : latencyQuantile(latency, rank));
  return { value: at(probability), low: at(probability - half), high: at(probability + half) };
}
