import {
  emptyTally,
  type Judgement,
  judge,
  mergeTallies,
  type Rule,
  type Tally,
  type Traffic,
} from "../../serving/index.ts";
import { observation } from "../results/signals.ts";
import type { Observation, SignalName, Thresholds } from "../schemas.ts";

/** A version of a model. */
export interface Version {
  readonly model: string;
  readonly version: string;
}

/** What a verdict on one signal of one version rests on; the same evidence gives the same verdict. */
export interface Evidence {
  readonly rule: Rule;
  readonly ours: Tally;
  /** Of the versions that it is held against. */
  readonly others: Tally;
}

/** A signal of a version that a revision brought. */
export interface Finding extends Version {
  readonly signal: SignalName;
  readonly evidence: Evidence;
  readonly judgement: Judgement;
}

export interface RevisionTraffic {
  /** Of the revision that bakes. */
  readonly now: readonly Traffic[];
  /** Of earlier revisions, since a day before it. */
  readonly before: readonly Traffic[];
  /** Versions that were taken out of service before: they are no measure. */
  readonly failed: readonly Version[];
}

const names = { ours: "new version", others: "version before" };

/**
 * Judges every version that a revision brought, each signal by itself, in the way that gates of rollouts do. A change of
 * weights or timeouts brings no version: then all that answer are judged, against the time before.
 *
 * They are held against the other versions in the same revision, which see the same callers at the same time; where there
 * are none, against what earlier revisions did.
 */
export function judgeRevision(
  { now, before, failed }: RevisionTraffic,
  thresholds: Thresholds,
  minimumRequests: number,
): Finding[] {
  const current = byVersion(now);
  const earlier = byVersion(before);
  const isNew = (version: Version) => !earlier.has(keyOf(version));
  const brought = [...current.values()].filter(isNew);
  const judged = brought.length > 0 ? brought : [...current.values()];
  const beside = brought.length > 0 ? [...current.values()].filter((each) => !isNew(each)) : [];
  const bad = new Set(failed.map(keyOf));
  const sound = [...earlier.values()].filter((version) => !bad.has(keyOf(version)));
  const others = (beside.length > 0 ? beside : sound)
    .map(({ tally }) => tally)
    .reduce(mergeTallies, emptyTally());
  return judged.flatMap(({ model, version, tally: ours }) =>
    rulesOf(thresholds, minimumRequests).map(({ signal, rule }) => ({
      model,
      version,
      signal,
      evidence: { rule, ours, others },
      judgement: rejudge({ rule, ours, others }),
    })),
  );
}

/** The verdict that evidence gives. */
export function rejudge({ rule, ours, others }: Evidence): Judgement {
  return judge(rule, ours, others, names);
}

/** One observation for each signal: of the version that fails it, or else of the one that is nearest to. */
export function observationsOf(findings: readonly Finding[]): Observation[] {
  const bySignal = Map.groupBy(findings, ({ signal }) => signal);
  return [...bySignal.values()].flatMap((each) => {
    const [worst] = each.toSorted(byBadness);
    if (worst === undefined) return [];
    const { verdict, value, limit } = worst.judgement;
    const seen = observation(worst.signal, value, limit);
    if (verdict === "fail") return [{ ...seen, outcome: "bad" as const }];
    return [seen.outcome === "bad" ? { ...seen, outcome: "between" as const } : seen];
  });
}

/** The worst first: what fails before what does not, then by how many times its limit it is. */
export function byBadness(a: Finding, b: Finding): number {
  const fails = (finding: Finding) => (finding.judgement.verdict === "fail" ? 1 : 0);
  return fails(b) - fails(a) || excessOf(b) - excessOf(a);
}

function excessOf({ judgement: { value, limit } }: Finding): number {
  return value === null ? 0 : value / Math.max(limit, 1e-9);
}

function rulesOf(
  thresholds: Thresholds,
  minimumRequests: number,
): { readonly signal: SignalName; readonly rule: Rule }[] {
  const wanted = [
    ["error_rate", "error_rate", thresholds.errorRate],
    ["invalid_output_rate", "invalid_output_share", thresholds.invalidOutputRate],
    ["latency_p95", "latency_p95", thresholds.latencyP95Ms],
  ] as const;
  return wanted.flatMap(([signal, measured, limit]) =>
    limit === null ? [] : [{ signal, rule: { signal: measured, limit, minimumRequests } }],
  );
}

function byVersion(traffic: readonly Traffic[]): Map<string, Version & { readonly tally: Tally }> {
  const versions = new Map<string, Version & { readonly tally: Tally }>();
  for (const { modelName: model, modelVersion: version, shadow, tally } of traffic) {
    // What a copy answered reached nobody.
    if (shadow) continue;
    const key = keyOf({ model, version });
    const known = versions.get(key)?.tally;
    versions.set(key, { model, version, tally: known === undefined ? tally : mergeTallies(known, tally) });
  }
  return versions;
}

function keyOf({ model, version }: Version): string {
  return JSON.stringify([model, version]);
}
