import type { Logger } from "pino";
import type { Clock } from "../../shared/clock.ts";
import { isKetlineError } from "../../shared/errors.ts";
import { systemActor } from "../../shared/identity/index.ts";
import { twoProportions } from "../../shared/statistics/index.ts";
import type { Deployment, DeploymentRevision, Serving } from "../serving/index.ts";
import { alertMessage } from "./results/actions.ts";
import type { ResultStore } from "./results/result-store.ts";
import { observation } from "./results/signals.ts";
import type { Alert, Monitor, Observation, Thresholds, Traffic } from "./schemas.ts";
import type { RollbackRow, TrafficStore, VersionTraffic } from "./traffic-store.ts";

export interface BakeOptions {
  readonly serving: Pick<Serving, "getDeployment" | "listRevisions" | "rollback" | "markRevision">;
  readonly traffic: TrafficStore;
  readonly results: ResultStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What came of one look at a deployment. */
export type BakeOutcome =
  | { readonly kind: "not_baking" | "quiet" | "watching" }
  | { readonly kind: "rolled_back" | "dry_run" | "refused"; readonly detail: string };

const minuteMs = 60_000;
const dayMs = 24 * 3_600_000;
const mostRollbacksADay = 3;
/** Traffic before a revision that its errors are compared with. */
const baselineMs = dayMs;
/** Two looks in a row: a minute of bad luck is no verdict. */
const rule = { badWindows: 2, ofWindows: 2, clearWindows: 2, coolDownHours: 0 };

/**
 * Looks at the newest revision of a monitor's deployment, once a minute while it bakes: error rate, latency and invalid
 * outputs of the versions that it brought. What it caused, and the version before did not show, takes it back: at most
 * once per version ever, and three times a day per deployment. A revision that stays quiet is marked healthy.
 *
 * Data drift is no reason: the old version would see the same data.
 */
export async function watchBake(options: BakeOptions, monitor: Monitor): Promise<BakeOutcome> {
  const { serving, clock } = options;
  if (monitor.policy !== "rollback" || !monitor.enabled || !("deployment" in monitor.target)) {
    return { kind: "not_baking" };
  }
  const name = monitor.target.deployment;
  const deployment = await currentDeployment(serving, name);
  if (deployment === null) return { kind: "not_baking" };
  const { items } = await serving.listRevisions(name, { limit: 2 });
  const [current, previous] = items;
  // What a rollback brought back had its time; taking it back too would swing to and fro.
  if (current === undefined || previous === undefined || current.change === "rollback") {
    return { kind: "not_baking" };
  }
  const nowMs = clock();
  const endMs = current.createdMs + monitor.bakeMinutes * minuteMs;
  if (nowMs > endMs + 5 * minuteMs || current.health === "unhealthy") return { kind: "not_baking" };
  const seen = await lookAt(options, monitor, current, Math.min(nowMs, endMs));
  if (seen.requests < monitor.minimumRequests) return { kind: "watching" };
  const bad = await worstSignal(options, monitor, current, seen, nowMs);
  if (bad !== null) return takeBack(options, monitor, current, seen, bad, nowMs);
  if (nowMs < endMs || seen.anyBad) return { kind: "watching" };
  if (current.health === "unjudged") {
    const by = { actor: actorOf(monitor), reason: `Quiet for ${monitor.bakeMinutes} minutes.` };
    await serving.markRevision(name, current.revision, "healthy", by);
  }
  return { kind: "quiet" };
}

/** One look: the signals of the version that the revision brought and that was asked most. */
interface Look {
  readonly model: string;
  readonly version: string;
  readonly requests: number;
  readonly observations: readonly Observation[];
  readonly anyBad: boolean;
}

async function lookAt(
  { traffic }: BakeOptions,
  monitor: Monitor,
  current: DeploymentRevision,
  toMs: number,
): Promise<Look> {
  const name = current.deployment;
  const startMs = Math.floor(current.createdMs / minuteMs) * minuteMs;
  const now = await traffic.byVersion(name, startMs, toMs, { from: current.revision, to: current.revision });
  const earlier = { from: 1, to: current.revision - 1 };
  const before = await traffic.byVersion(name, startMs - baselineMs, toMs, earlier);
  const old = new Set(before.map(keyOf));
  const brought = now.filter((version) => !old.has(keyOf(version)));
  // A change of weights or timeouts brings no version: then all of it is judged, against the time before.
  const judged = brought.length > 0 ? brought : now;
  const [worst] = judged.toSorted((a, b) => badness(b.traffic) - badness(a.traffic));
  if (worst === undefined) return { model: "", version: "", requests: 0, observations: [], anyBad: false };
  // The stable versions in the same revision see the same callers at the same time; else the time before has to do.
  const stable = brought.length > 0 ? now.filter((version) => old.has(keyOf(version))) : [];
  const failed = new Set((await traffic.rollbacksSince(name, 0)).map(keyOf));
  const sound = before.filter((version) => !failed.has(keyOf(version)));
  const baseline = sumOf(stable.length > 0 ? stable : sound);
  const observations = observationsOf(monitor.thresholds, worst.traffic, baseline);
  return {
    model: worst.model,
    version: worst.version,
    requests: worst.traffic.requests,
    observations,
    anyBad: observations.some((each) => each.outcome === "bad"),
  };
}

/** Bad only when it is worse than the baseline by more than chance: an old fault is not the new version's. */
function observationsOf(thresholds: Thresholds, traffic: Traffic, baseline: Counts): Observation[] {
  const answered = traffic.requests - traffic.errors - traffic.rejected;
  const found: Observation[] = [];
  const share = (
    signal: Observation["signal"],
    threshold: number | null,
    count: number,
    of: number,
    [baseCount, baseOf]: readonly [number, number],
  ) => {
    if (threshold === null || of === 0) return;
    const seen = observation(signal, count / of, threshold);
    const worse =
      baseOf === 0 ||
      (count / of > baseCount / baseOf && twoProportions(count, of, baseCount, baseOf).p < 0.02);
    found.push(seen.outcome === "bad" && !worse ? { ...seen, outcome: "between" } : seen);
  };
  share("error_rate", thresholds.errorRate, traffic.errors, traffic.requests, [
    baseline.errors,
    baseline.requests,
  ]);
  share("invalid_output_rate", thresholds.invalidOutputRate, traffic.invalidOutputs, answered, [
    baseline.invalidOutputs,
    baseline.answered,
  ]);
  if (thresholds.latencyP95Ms !== null) {
    const seen = observation("latency_p95", traffic.latencyP95Ms, thresholds.latencyP95Ms);
    const slowBefore = (baseline.latencyP95Ms ?? 0) >= thresholds.latencyP95Ms;
    found.push(seen.outcome === "bad" && slowBefore ? { ...seen, outcome: "between" } : seen);
  }
  return found;
}

interface Counts {
  readonly requests: number;
  readonly errors: number;
  readonly answered: number;
  readonly invalidOutputs: number;
  readonly latencyP95Ms: number | null;
}

function sumOf(versions: readonly VersionTraffic[]): Counts {
  const total = { requests: 0, errors: 0, answered: 0, invalidOutputs: 0 };
  let latencyP95Ms: number | null = null;
  for (const { traffic } of versions) {
    total.requests += traffic.requests;
    total.errors += traffic.errors;
    total.answered += traffic.requests - traffic.errors - traffic.rejected;
    total.invalidOutputs += traffic.invalidOutputs;
    if (traffic.latencyP95Ms !== null) latencyP95Ms = Math.max(latencyP95Ms ?? 0, traffic.latencyP95Ms);
  }
  return { ...total, latencyP95Ms };
}

function badness({ requests, errors, invalidOutputs }: Traffic): number {
  return requests === 0 ? 0 : (errors + invalidOutputs) / requests;
}

function keyOf({ model, version }: Pick<VersionTraffic, "model" | "version">): string {
  return JSON.stringify([model, version]);
}

/** Moves the signals by one look, and gives the first one that is firing. */
async function worstSignal(
  { results }: BakeOptions,
  monitor: Monitor,
  current: DeploymentRevision,
  seen: Look,
  nowMs: number,
): Promise<Observation | null> {
  const states = await results.step({
    monitor: monitor.name,
    // Windows restart with each revision.
    series: `bake:${current.revision}`,
    windowEndMs: Math.floor(nowMs / minuteMs) * minuteMs,
    nowMs,
    rule,
    observations: seen.observations,
    alertOf: (found, muted) => ({ message: bakeMessage(seen, found), action: bakeAction(muted) }),
  });
  return seen.observations.find(({ signal }) => states.get(signal)?.state === "firing") ?? null;
}

function bakeMessage(seen: Look, found: Observation): string {
  return `Version ${seen.version} of "${seen.model}", newly deployed: ${alertMessage(found, null)}`;
}

function bakeAction(muted: boolean): Alert["action"] {
  return muted
    ? { kind: "rollback", state: "skipped", detail: "The signal is muted." }
    : { kind: "rollback", state: "pending", detail: "" };
}

async function takeBack(
  options: BakeOptions,
  monitor: Monitor,
  current: DeploymentRevision,
  seen: Look,
  bad: Observation,
  nowMs: number,
): Promise<BakeOutcome> {
  const { traffic, results, logger } = options;
  const series = `bake:${current.revision}`;
  const alerts = (await results.pendingActions(monitor.name)).filter((alert) => alert.series === series);
  // Done, refused, or muted before: the alert says which.
  if (alerts.length === 0) return { kind: "watching" };
  const finish = async (
    kind: "rolled_back" | "dry_run" | "refused",
    detail: string,
  ): Promise<BakeOutcome> => {
    const state = kind === "rolled_back" ? "done" : kind === "dry_run" ? "skipped" : "failed";
    for (const alert of alerts) await results.actionDone(alert.id, { kind: "rollback", state, detail });
    logger.warn(
      { monitor: monitor.name, deployment: current.deployment, revision: current.revision },
      detail,
    );
    return { kind, detail };
  };
  const reason = bakeMessage(seen, bad);
  if (monitor.dryRun) return finish("dry_run", `Dry run: revision ${current.revision} would be rolled back.`);
  const today = await traffic.rollbacksSince(current.deployment, nowMs - dayMs);
  const others = today.filter((row) => row.model !== seen.model || row.version !== seen.version);
  if (others.length >= mostRollbacksADay) {
    return finish("refused", `${others.length} rollbacks in 24 hours are enough; a person has to look.`);
  }
  const claim = await traffic.claimRollback({
    deployment: current.deployment,
    model: seen.model,
    version: seen.version,
    revision: current.revision,
    monitor: monitor.name,
    at_ms: nowMs,
  });
  if (claim.outcome !== null || claim.revision !== current.revision) {
    return finish("refused", `Version ${seen.version} was rolled back once before; a person put it back.`);
  }
  return rollBack(options, monitor, claim, reason, finish);
}

async function rollBack(
  { serving, traffic }: BakeOptions,
  monitor: Monitor,
  claim: RollbackRow,
  reason: string,
  finish: (kind: "rolled_back" | "refused", detail: string) => Promise<BakeOutcome>,
): Promise<BakeOutcome> {
  try {
    const by = { actor: actorOf(monitor), reason, expectedRevision: claim.revision };
    const { revision } = await serving.rollback(claim.deployment, by);
    const detail = `Revision ${claim.revision} was rolled back; revision ${revision} serves what was before it.`;
    await traffic.endRollback(claim, detail);
    return finish("rolled_back", detail);
  } catch (error) {
    if (!isKetlineError(error)) throw error; // tried again at the next look
    const detail = `The rollback was refused: ${error.message}`;
    await traffic.endRollback(claim, detail);
    return finish("refused", detail);
  }
}

function actorOf(monitor: Monitor) {
  return systemActor(`monitor:${monitor.name}`);
}

async function currentDeployment(serving: BakeOptions["serving"], name: string): Promise<Deployment | null> {
  try {
    return await serving.getDeployment(name);
  } catch (error) {
    if (isKetlineError(error, "not_found")) return null;
    throw error;
  }
}
