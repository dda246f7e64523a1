import { normalIsf } from "../../../shared/statistics/index.ts";
import { type Estimate, proportion, proportionDifference } from "./comparison.ts";
import { answersOf, failuresOf, latencyOf, latencyQuantile, refusalsOf, type Tally } from "./tally.ts";

/** What a version may be judged by. */
export type Signal =
  | "error_rate"
  | "error_rate_difference"
  | "latency_p95"
  | "latency_p95_ratio"
  | "latency_p99_ratio"
  | "invalid_output_share"
  | "agreement";

export interface Rule {
  readonly signal: Signal;
  /** The least of `agreement`, the most of all others: a share, a ratio, or of `latency_p95` milliseconds. */
  readonly limit: number;
  /** Below these requests nothing is judged; of the other side neither, where the signal is a comparison. */
  readonly minimumRequests: number;
}

/** A verdict with all that it rests on. The same rule and tallies give the same one, so it can be replayed. */
export interface Judgement {
  readonly signal: Signal;
  readonly verdict: "pass" | "wait" | "fail";
  readonly limit: number;
  readonly value: number | null;
  /** The interval of 99 %; null where it has no such end. */
  readonly low: number | null;
  readonly high: number | null;
  readonly requests: number;
  /** Of the other side; null where nothing was compared with it. */
  readonly otherRequests: number | null;
  readonly sentence: string;
}

/** What the two sides are called in sentences. */
export interface Names {
  readonly ours: string;
  readonly others: string;
}

/** Two-sided 99 %: verdicts are looked at many times. */
const z = normalIsf(0.005);

/**
 * The one judgement that automatic rollbacks rest on, of rollouts and of monitoring alike. It fails when the whole
 * interval of the signal lies beyond the limit, passes when the value is within it, and waits otherwise: for requests, or
 * for enough of them to tell a breach from chance.
 *
 * What the other side shows as well is no fault of this one: a share or a latency beyond its limit fails only when it is
 * worse than the other side's beyond chance, where the other side was asked at all.
 *
 * @param others the champion, or the version before
 */
export function judge(rule: Rule, ours: Tally, others: Tally, names: Names): Judgement {
  const { signal, limit } = rule;
  const measured = measure(rule, ours, others, names);
  const { estimate } = measured;
  const counts = {
    requests: ours.requests,
    otherRequests: measured.isComparison || measured.excess !== null ? others.requests : null,
  };
  const about = { signal, limit, ...estimate, ...counts };
  const short = [
    ...(ours.requests < rule.minimumRequests ? [`${ours.requests} of the ${names.ours}'s`] : []),
    ...(measured.isComparison && others.requests < rule.minimumRequests
      ? [`${others.requests} of the ${names.others}'s`]
      : []),
  ];
  if (short.length > 0) {
    const sentence = `Only ${short.join(" and ")} requests so far; ${rule.minimumRequests} are needed.`;
    return { ...about, verdict: "wait", sentence };
  }
  const { value, low, high } = estimate;
  if (value === null) {
    return { ...about, verdict: "wait", sentence: `There is nothing yet to judge the ${measured.what} by.` };
  }
  const written = writtenAs(signal);
  const [most, within, beyond] =
    signal === "agreement"
      ? [false, value >= limit, high !== null && high < limit]
      : [true, value <= limit, low !== null && low > limit];
  const interval = `between ${written(low)} and ${high === null ? "any more" : written(high)} with 99 %`;
  const allowed = `${written(limit)} is the ${most ? "most" : "least"} allowed`;
  const sentence = `The ${measured.what} is ${written(value)} over ${ours.requests} requests, ${interval}; ${allowed}.`;
  if (within) return { ...about, verdict: "pass", sentence };
  if (!beyond) {
    return { ...about, verdict: "wait", sentence: `${sentence} More requests will tell it from chance.` };
  }
  if (measured.excess !== null && !measured.excess.isWorse) {
    const also = `The ${names.others} shows ${written(measured.excess.others)}, which chance does not tell from it.`;
    return { ...about, verdict: "wait", sentence: `${sentence} ${also}` };
  }
  return { ...about, verdict: "fail", sentence };
}

interface Measured {
  readonly estimate: Estimate;
  /** In words, after "The". */
  readonly what: string;
  /** Whether the value itself is one side against the other. */
  readonly isComparison: boolean;
  /** Of a value that stands alone: what the other side shows, and whether ours is worse; null where nobody asked it. */
  readonly excess: { readonly others: number; readonly isWorse: boolean } | null;
}

function measure({ signal, limit }: Rule, ours: Tally, others: Tally, names: Names): Measured {
  switch (signal) {
    case "error_rate":
      return share("share of requests that failed", failed(ours), failed(others));
    case "invalid_output_share":
      return share(
        `share of answers with NaN or infinities${worstOutput(ours)}`,
        invalid(ours),
        invalid(others),
      );
    case "error_rate_difference":
      return {
        estimate: proportionDifference(unanswered(ours), unanswered(others), z),
        what: `share of failed requests less the ${names.others}'s`,
        isComparison: true,
        excess: null,
      };
    case "latency_p95": {
      // Whether more of them are slow than of the others is told by fewer requests than the others' percentile needs.
      const { low } = proportionDifference(slower(ours, limit), slower(others, limit), z);
      const theirs = quantile(others, 0.95).value;
      return {
        estimate: quantile(ours, 0.95),
        what: "95th percentile of latency",
        isComparison: false,
        excess: theirs === null ? null : { others: theirs, isWorse: (low ?? 0) > 0 },
      };
    }
    case "latency_p95_ratio":
    case "latency_p99_ratio": {
      const [probability, which] = signal === "latency_p95_ratio" ? [0.95, "95th"] : [0.99, "99th"];
      return {
        estimate: quantileRatio(ours, others, probability),
        what: `${which} percentile of latency against the ${names.others}'s`,
        isComparison: true,
        excess: null,
      };
    }
    case "agreement": {
      const outputs = Object.entries(ours.agreement).filter(([, { rows }]) => rows > 0);
      const [worst] = outputs.toSorted(([, a], [, b]) => a.agreed / a.rows - b.agreed / b.rows);
      const alone = { isComparison: false, excess: null };
      if (worst === undefined) {
        return { estimate: nothing, what: `agreement with the ${names.others}`, ...alone };
      }
      const [name, { agreed, rows }] = worst;
      const what = `agreement with the ${names.others} in output "${name}"`;
      return { estimate: proportion(agreed, rows, z), what, ...alone };
    }
  }
}

const nothing: Estimate = { value: null, low: null, high: null };

/** How many of how many. */
type Share = readonly [hits: number, total: number];

const failed = (tally: Tally): Share => [failuresOf(tally), tally.requests];
const invalid = (tally: Tally): Share => [tally.invalid, answersOf(tally)];
/** What callers did wrong says nothing of a version by itself; against the other side's share it does. */
const unanswered = (tally: Tally): Share => [failuresOf(tally) + refusalsOf(tally), tally.requests];

/** Answers that took longer than a limit. */
function slower({ latency }: Tally, limitMs: number): Share {
  let slow = 0;
  let all = 0;
  for (const [bucket, count] of Object.entries(latency)) {
    all += count;
    if (latencyOf(Number(bucket)) > limitMs) slow += count;
  }
  return [slow, all];
}

function share(what: string, ours: Share, others: Share): Measured {
  const { low } = proportionDifference(ours, others, z);
  return {
    estimate: proportion(...ours, z),
    what,
    isComparison: false,
    excess: others[1] === 0 ? null : { others: others[0] / others[1], isWorse: (low ?? 0) > 0 },
  };
}

function worstOutput({ outputs }: Tally): string {
  const [worst] = Object.entries(outputs)
    .filter(([, { nonFinite }]) => nonFinite > 0)
    .toSorted(([, a], [, b]) => b.nonFinite - a.nonFinite);
  return worst === undefined ? "" : `, most in output "${worst[0]}",`;
}

/**
 * The ends come from the ranks that hold each quantile with 99 % (normal approximation of the binomial), set against each
 * other the unfavourable way, so the interval is rather too wide.
 */
function quantileRatio(ours: Tally, others: Tally, probability: number): Estimate {
  const a = quantile(ours, probability);
  const b = quantile(others, probability);
  if (a.value === null || b.value === null) return nothing;
  return {
    value: a.value / b.value,
    low: b.high === null ? 0 : (a.low ?? 0) / b.high,
    high: a.high === null || b.low === null ? null : a.high / b.low,
  };
}

function quantile({ latency }: Tally, probability: number): Estimate {
  const count = Object.values(latency).reduce((sum, each) => sum + each, 0);
  if (count === 0) return nothing;
  const half = z * Math.sqrt((probability * (1 - probability)) / count);
  const at = (rank: number) => (rank <= 0 || rank >= 1 ? null : latencyQuantile(latency, rank));
  return { value: at(probability), low: at(probability - half), high: at(probability + half) };
}

function writtenAs(signal: Signal): (value: number | null) => string {
  switch (signal) {
    case "latency_p95":
      return (value) => `${Number((value ?? 0).toPrecision(3))} ms`;
    case "latency_p95_ratio":
    case "latency_p99_ratio":
      return (value) => `${Number((value ?? 0).toFixed(2))} times`;
    default:
      return (value) => `${Number((100 * (value ?? 0)).toFixed(2))} %`;
  }
}
