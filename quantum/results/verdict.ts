import { invalid } from "../../shared/errors.ts";
import { outcomeLabel } from "../programs/literal.ts";
import { type ChiSquare, chiSquareOf, type Rare, rareOf } from "./goodness-of-fit.ts";
import type { Histogram } from "./histogram.ts";

/** What a program should give: the probability of each outcome; an outcome that is not named has probability 0. */
export type Expectation = ReadonlyMap<string, number>;

export interface VerdictOptions {
  /** The chance of calling a right program wrong, over all comparisons together. */
  readonly alpha: number;
  /** Repeats times distributions that are judged together; each is tested at alpha divided by it (Bonferroni). */
  readonly comparisons: number;
  /** A noiseless simulator must never show an outcome of probability 0; hardware and noisy simulators do. */
  readonly noiseless: boolean;
  /** On noisy targets: total variation distance that the noise may cause beyond the sampling error. */
  readonly allowedDistance: number;
  /** The smallest distance that must be noticed; with too few shots for it the verdict is `inconclusive`. */
  readonly detectDistance: number | undefined;
}

export interface Verdict {
  readonly verdict: "consistent" | "deviates" | "inconclusive";
  /** One sentence per test that decided, for people to read. */
  readonly reasons: readonly string[];
  /** The level of each single test: alpha divided by the comparisons. */
  readonly alpha: number;
  readonly shots: number;
  /** Null on noisy targets, and where pooling leaves a single bin. */
  readonly chiSquare: ChiSquare | null;
  /** Outcomes that were seen though their probability is 0. */
  readonly impossible: readonly { readonly outcome: string; readonly count: number }[];
  readonly totalVariation: {
    readonly distance: number;
    /** Sampling alone stays below this distance with probability 1 - alpha. */
    readonly bound: number;
  };
  /** Shots that notice `detectDistance`; null without it. */
  readonly shotsNeeded: number | null;
}

/**
 * Judges a histogram against what it should be. On a noiseless simulator: Pearson's chi-square on bins pooled to an
 * expected count of 5, and the exact support test. On noisy targets neither may decide: there the total variation
 * distance must stay under its sampling bound plus the allowed distance.
 */
export function judge(histogram: Histogram, expectation: Expectation, options: VerdictOptions): Verdict {
  const alpha = options.alpha / options.comparisons;
  const counts = new Map(histogram.outcomes.map(({ outcome, count }) => [outcome, count]));
  const support = new Set([...expectation.keys(), ...counts.keys()]);
  const distance = totalVariationDistance(counts, expectation, histogram.shots);
  const bound = totalVariationBound(support.size, histogram.shots, alpha);
  const impossible = [...counts]
    .filter(([outcome]) => (expectation.get(outcome) ?? 0) === 0)
    .map(([outcome, count]) => ({ outcome, count }));
  const chiSquare = options.noiseless ? chiSquareOf(counts, expectation, histogram.shots) : null;
  const rare = options.noiseless && chiSquare === null ? rareOf(counts, expectation, histogram.shots) : null;
  const shotsNeeded =
    options.detectDistance === undefined
      ? null
      : shotsForDistance(expectation.size, options.detectDistance, alpha);
  const shared = {
    alpha,
    shots: histogram.shots,
    chiSquare,
    impossible,
    totalVariation: { distance, bound },
    shotsNeeded,
  };
  const against = options.noiseless
    ? noiselessReasons(impossible, chiSquare, rare, alpha)
    : distance > bound + options.allowedDistance
      ? [
          `The total variation distance ${show(distance)} is above ${show(bound + options.allowedDistance)}: ` +
            `${show(bound)} for sampling and ${show(options.allowedDistance)} for noise.`,
        ]
      : [];
  if (against.length > 0) return { verdict: "deviates", reasons: against, ...shared };
  if (histogram.shots === 0) {
    return { verdict: "inconclusive", reasons: ["There are no shots to judge."], ...shared };
  }
  if (shotsNeeded !== null && histogram.shots < shotsNeeded) {
    const reason = `${histogram.shots} shots cannot show a distance of ${options.detectDistance}; that takes ${shotsNeeded}.`;
    return { verdict: "inconclusive", reasons: [reason], ...shared };
  }
  if (options.noiseless && chiSquare === null && rare === null) {
    const reason = `${histogram.shots} shots are too few for a test: every bin needs an expected count of 5.`;
    return { verdict: "inconclusive", reasons: [reason], ...shared };
  }
  return { verdict: "consistent", reasons: [supporting(shared)], ...shared };
}

/**
 * Probabilities by outcome, whichever way the outcomes are written.
 *
 * @throws invalid when two names mean one outcome, or the probabilities are none or do not sum to 1.
 */
export function expectationOf(probabilities: Readonly<Record<string, number>>): Expectation {
  const expectation = new Map<string, number>();
  for (const [outcome, probability] of Object.entries(probabilities)) {
    const label = outcomeLabel(outcome);
    if (expectation.has(label)) {
      throw invalid(`The expected outcome "${outcome}" is named twice; both names mean "${label}".`);
    }
    expectation.set(label, probability);
  }
  const sum = checkedSum(expectation);
  for (const [outcome, probability] of expectation) expectation.set(outcome, probability / sum);
  return expectation;
}

/**
 * Each of the outcomes with the same probability.
 *
 * @throws invalid without outcomes, or when two of them mean the same.
 */
export function uniformExpectation(outcomes: readonly string[]): Expectation {
  const labels = new Set(outcomes.map(outcomeLabel));
  if (labels.size !== outcomes.length || labels.size === 0) {
    throw invalid(
      `The expected outcomes ${JSON.stringify(outcomes)} must be at least one, each named only once.`,
    );
  }
  return new Map([...labels].map((label) => [label, 1 / labels.size]));
}

/** Half the sum of the differences between observed shares and probabilities. */
export function totalVariationDistance(
  counts: ReadonlyMap<string, number>,
  expectation: Expectation,
  shots: number,
): number {
  if (shots === 0) return 0;
  let sum = 0;
  for (const [outcome, probability] of expectation) {
    sum += Math.abs((counts.get(outcome) ?? 0) / shots - probability);
  }
  for (const [outcome, count] of counts) if (!expectation.has(outcome)) sum += count / shots;
  return sum / 2;
}

/**
 * The distance that sampling `shots` from k outcomes exceeds with probability alpha at most: the bound of
 * Bretagnolle, Huber and Carol, sqrt((k ln 2 + ln(1/alpha)) / (2 shots)).
 */
export function totalVariationBound(outcomes: number, shots: number, alpha: number): number {
  if (shots === 0) return 1;
  return Math.min(1, Math.sqrt((outcomes * Math.LN2 + Math.log(1 / alpha)) / (2 * shots)));
}

/** Shots after which the bound is at most `distance`. */
export function shotsForDistance(outcomes: number, distance: number, alpha: number): number {
  return Math.ceil((outcomes * Math.LN2 + Math.log(1 / alpha)) / (2 * distance * distance));
}

function noiselessReasons(
  impossible: Verdict["impossible"],
  chiSquare: Verdict["chiSquare"],
  rare: Rare | null,
  alpha: number,
) {
  const reasons: string[] = [];
  if (impossible.length > 0) {
    const named = impossible
      .slice(0, 5)
      .map(({ outcome, count }) => `"${outcome}" (${count})`)
      .join(", ");
    reasons.push(
      `Outcomes of probability 0 were seen: ${named}${impossible.length > 5 ? " and others" : ""}.`,
    );
  }
  if (chiSquare !== null && chiSquare.pValue < alpha) {
    reasons.push(
      `Chi-square ${show(chiSquare.statistic)} with ${chiSquare.degreesOfFreedom} degrees of freedom: ` +
        `p = ${show(chiSquare.pValue)} is below ${show(alpha)}.`,
    );
  }
  if (rare !== null && rare.pValue < alpha) {
    reasons.push(
      `Outcomes with the probability ${show(rare.probability)} together were seen ${rare.observed} times: ` +
        `p = ${show(rare.pValue)} is below ${show(alpha)}.`,
    );
  }
  return reasons;
}

function supporting({
  chiSquare,
  totalVariation,
  alpha,
  shots,
}: Omit<Verdict, "verdict" | "reasons">): string {
  if (chiSquare !== null) {
    return `${shots} shots agree with the expectation: chi-square p = ${show(chiSquare.pValue)}, not below ${show(alpha)}.`;
  }
  return `${shots} shots agree with the expectation: total variation distance ${show(totalVariation.distance)}.`;
}

/** How far from 1 a sum of declared probabilities may be: declared numbers are often rounded, e.g. 0.333333. */
const sumTolerance = 1e-4;

function checkedSum(expectation: Expectation): number {
  let sum = 0;
  for (const [outcome, probability] of expectation) {
    if (!(probability >= 0 && probability <= 1)) {
      throw invalid(`The expected probability of "${outcome}" is ${probability}; it must be from 0 to 1.`);
    }
    sum += probability;
  }
  if (Math.abs(sum - 1) > sumTolerance) {
    throw invalid(`The expected probabilities sum to ${sum}; they must sum to 1.`);
  }
  return sum;
}

function show(value: number): string {
  return value === 0 || (Math.abs(value) >= 0.001 && Math.abs(value) < 1e6)
    ? String(Number(value.toPrecision(4)))
    : value.toExponential(2);
}
