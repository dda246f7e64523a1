import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import type { Clock } from "../../../shared/clock.ts";
import { isKetlineError } from "../../../shared/errors.ts";
import { type CheckStanding, systemActor } from "../../../shared/identity/index.ts";
import type { Deployment, DeploymentRevision, Serving } from "../../serving/index.ts";
import type { AlertStore } from "../results/alert-store.ts";
import type { Alert, Monitor } from "../schemas.ts";
import { type DecisionInputs, decide, reasonOf } from "./decision.ts";
import { byBadness, type Finding, judgeRevision, observationsOf } from "./judgement.ts";
import type { DecisionRow, RollbackRow, RollbackStore } from "./rollback-store.ts";

export interface BakeOptions {
  readonly serving: Pick<
    Serving,
    "getDeployment" | "listDeployments" | "listRevisions" | "rollback" | "markRevision" | "trafficOf"
  >;
  readonly rollbacks: RollbackStore;
  readonly alerts: Pick<AlertStore, "step" | "pendingActions" | "actionDone" | "resolveSeries">;
  readonly clock: Clock;
  readonly checkStanding: CheckStanding;
  readonly logger: Logger;
}

/** What came of one look at a deployment. */
type BakeOutcome =
  | { readonly kind: "not_baking" | "quiet" | "watching" }
  | { readonly kind: "rolled_back" | "dry_run" | "refused"; readonly detail: string };

const minuteMs = 60_000;
const dayMs = 24 * 3_600_000;
/** How long after the bake time a look may come and still judge it. */
const graceMs = 5 * minuteMs;
/** How far apart looks are that count: a timer may run on several instances. */
const lookMs = 10_000;
/** The interval of a judgement tells chance from a fault, so that one look is enough. */
const rule = { badWindows: 1, ofWindows: 1, clearWindows: 2, coolDownHours: 0 };
/** Series of alerts that belong to the bake time of a revision. */
const seriesPrefix = "bake:";

/**
 * Makes the look at all deployments that bake, which a timer calls. What is not baking is not looked at again before its
 * deployment or its monitor has changed: there may be thousands.
 */
export function createWatch(
  options: BakeOptions,
  monitors: () => Promise<readonly Monitor[]>,
): () => Promise<void> {
  /** By monitor: the revisions of it and of its deployment that do not bake. */
  let settled = new Map<string, string>();
  return async () => {
    const revisions = await currentRevisions(options.serving);
    const now = new Map<string, string>();
    for (const monitor of await monitors()) {
      if (monitor.policy !== "rollback" || !monitor.enabled || !("deployment" in monitor.target)) continue;
      const at = `${monitor.revision} ${revisions.get(monitor.target.deployment) ?? "gone"}`;
      if (settled.get(monitor.name) === at) {
        now.set(monitor.name, at);
        continue;
      }
      try {
        const { kind } = await watchBake(options, monitor, monitor.target.deployment);
        if (kind === "not_baking") now.set(monitor.name, at);
      } catch (error) {
        // One deployment that cannot be looked at now must not keep the others from it.
        options.logger.error(
          { monitor: monitor.name, err: error },
          "a baking deployment could not be looked at",
        );
      }
    }
    settled = now;
  };
}

async function currentRevisions(serving: BakeOptions["serving"]): Promise<Map<string, number>> {
  const revisions = new Map<string, number>();
  for (let cursor: string | undefined; ; ) {
    const page = await serving.listDeployments({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) });
    for (const { name, revision } of page.items) revisions.set(name, revision);
    cursor = page.nextCursor;
    if (cursor === undefined) return revisions;
  }
}

/**
 * Looks at the newest revision of a monitor's deployment, several times a minute while it bakes: error rate, latency and
 * invalid outputs of each version that it brought. What a version caused, and the version before did not show, takes the
 * revision back: at most once per version ever, and three times a day per deployment. A revision that stays quiet is
 * marked healthy. Alerts of a bake time end with it.
 *
 * Data drift is no reason: the old version would see the same data.
 */
async function watchBake(options: BakeOptions, monitor: Monitor, name: string): Promise<BakeOutcome> {
  const { serving, alerts, clock } = options;
  const nowMs = clock();
  const current = await bakingRevision(serving, name, monitor, nowMs);
  if (current === null) {
    await finishCutOff(options, name);
    await alerts.resolveSeries(monitor.name, seriesPrefix, nowMs);
    return { kind: "not_baking" };
  }
  await alerts.resolveSeries(monitor.name, seriesPrefix, nowMs, seriesOf(current));
  const endMs = current.createdMs + monitor.bakeMinutes * minuteMs;
  const findings = await findingsOf(options, monitor, current, Math.min(nowMs, endMs));
  const [worst] = findings.toSorted(byBadness);
  if (worst === undefined) return { kind: "watching" };
  const states = await alerts.step({
    monitor: monitor.name,
    series: seriesOf(current),
    windowEndMs: Math.floor(nowMs / lookMs) * lookMs,
    nowMs,
    rule,
    observations: observationsOf(findings),
    alertOf: ({ signal }, muted) => ({
      message: reasonOf(findings.filter((each) => each.signal === signal).toSorted(byBadness)[0] ?? worst),
      action: bakeAction(muted),
    }),
  });
  if (worst.judgement.verdict === "fail") return takeBack(options, monitor, current, worst, nowMs);
  const firing = [...states.values()].some(({ state }) => state === "firing" || state === "resolving");
  const isJudged = findings.every(({ evidence }) => evidence.ours.requests >= monitor.minimumRequests);
  if (nowMs < endMs || firing || !isJudged) return { kind: "watching" };
  if (current.health === "unjudged") {
    const by = { actor: actorOf(monitor), reason: `Quiet for ${monitor.bakeMinutes} minutes.` };
    await serving.markRevision(name, current.revision, "healthy", by);
  }
  return { kind: "quiet" };
}

/** The current revision, if it has something to go back to and its time is not over. */
async function bakingRevision(
  serving: BakeOptions["serving"],
  name: string,
  monitor: Monitor,
  nowMs: number,
): Promise<DeploymentRevision | null> {
  if ((await currentDeployment(serving, name)) === null) return null;
  const { items } = await serving.listRevisions(name, { limit: 2 });
  const [current, previous] = items;
  // What a rollback brought back had its time; taking it back too would swing to and fro.
  if (current === undefined || previous === undefined || current.change === "rollback") return null;
  if (nowMs > current.createdMs + monitor.bakeMinutes * minuteMs + graceMs) return null;
  return current.health === "unhealthy" ? null : current;
}

async function findingsOf(
  { serving, rollbacks }: BakeOptions,
  monitor: Monitor,
  { deployment, revision, createdMs }: DeploymentRevision,
  toMs: number,
): Promise<Finding[]> {
  const now = await serving.trafficOf(deployment, { toMs, revisions: { from: revision, to: revision } });
  const fromMs = createdMs - dayMs;
  const before = await serving.trafficOf(deployment, {
    fromMs,
    toMs,
    revisions: { from: 1, to: revision - 1 },
  });
  const failed = await rollbacks.since(deployment, 0);
  return judgeRevision({ now, before, failed }, monitor.thresholds, monitor.minimumRequests);
}

function seriesOf({ revision }: DeploymentRevision): string {
  return `${seriesPrefix}${revision}`;
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
  worst: Finding,
  nowMs: number,
): Promise<BakeOutcome> {
  const { rollbacks, alerts, logger } = options;
  const series = seriesOf(current);
  const pending = (await alerts.pendingActions(monitor.name)).filter((alert) => alert.series === series);
  // Done, refused, or muted before: the alert says which.
  if (pending.length === 0) return { kind: "watching" };
  const inputs = await inputsOf(options, monitor, current, worst, nowMs);
  const decision = decide(inputs);
  if (decision.kind === "wait") return { kind: "watching" };
  const row: DecisionRow = {
    id: randomUUID(),
    deployment: current.deployment,
    model: worst.model,
    version: worst.version,
    revision: current.revision,
    monitor: monitor.name,
    at_ms: nowMs,
    inputs: JSON.stringify(inputs),
    outcome: decision.kind === "dry_run" ? "dry_run" : "refused",
    detail: decision.reason,
    new_revision: null,
  };
  let outcome: BakeOutcome & { readonly detail: string };
  if (decision.kind === "roll_back") outcome = await rollBack(options, monitor, row, decision.reason);
  else {
    await rollbacks.decided(row);
    outcome = { kind: decision.kind === "dry_run" ? "dry_run" : "refused", detail: decision.reason };
  }
  const { kind, detail } = outcome;
  const state = kind === "rolled_back" ? "done" : kind === "dry_run" ? "skipped" : "failed";
  for (const alert of pending) await alerts.actionDone(alert.id, { kind: "rollback", state, detail });
  if (kind === "rolled_back") await alerts.resolveSeries(monitor.name, seriesPrefix, nowMs);
  logger.warn({ monitor: monitor.name, deployment: current.deployment, revision: current.revision }, detail);
  return outcome;
}

async function inputsOf(
  { rollbacks, checkStanding }: BakeOptions,
  monitor: Monitor,
  { deployment, revision }: DeploymentRevision,
  finding: Finding,
  nowMs: number,
): Promise<DecisionInputs> {
  const isThis = ({ model, version }: Pick<RollbackRow, "model" | "version">) =>
    model === finding.model && version === finding.version;
  const all = await rollbacks.since(deployment, 0);
  const others = all.filter((row) => row.at_ms >= nowMs - dayMs && !isThis(row));
  // One that was claimed for this very revision and not ended was cut off, and is taken up again.
  const before = all.find((row) => isThis(row) && (row.outcome !== null || row.revision !== revision));
  let standingRefusal: string | null = null;
  try {
    await checkStanding(monitor.updatedBy, "operator");
  } catch (error) {
    if (!isKetlineError(error, "forbidden")) throw error;
    standingRefusal = error.message;
  }
  return {
    ...{ finding, revision, standingRefusal },
    ...{ dryRun: monitor.dryRun, othersToday: others.length, wasTakenBack: before !== undefined },
  };
}

async function rollBack(
  { serving, rollbacks }: BakeOptions,
  monitor: Monitor,
  decision: DecisionRow,
  reason: string,
): Promise<BakeOutcome & { readonly detail: string }> {
  const { deployment, model, version, revision, at_ms } = decision;
  const asked = { deployment, model, version, revision, monitor: monitor.name, at_ms };
  const claim = await rollbacks.claim(asked, decision);
  if (claim.outcome !== null || claim.revision !== revision) {
    return { kind: "refused", detail: `Version ${version} was rolled back by another instance just now.` };
  }
  try {
    const by = { actor: actorOf(monitor), reason, expectedRevision: revision };
    const made = await serving.rollback(deployment, by);
    const detail = rolledBack(revision, made.revision);
    await rollbacks.end(claim, { outcome: "rolled_back", detail, new_revision: made.revision });
    return { kind: "rolled_back", detail };
  } catch (error) {
    if (!isKetlineError(error)) throw error; // tried again at the next look
    const detail = `The rollback was refused: ${error.message}`;
    await rollbacks.end(claim, { outcome: "refused", detail, new_revision: null });
    return { kind: "refused", detail };
  }
}

function rolledBack(from: number, to: number): string {
  return `Revision ${from} was rolled back; revision ${to} serves what was before it.`;
}

/** Writes down what came of a rollback whose process ended between doing it and saying so. */
async function finishCutOff({ serving, rollbacks }: BakeOptions, deployment: string): Promise<void> {
  const open = (await rollbacks.since(deployment, 0)).filter(({ outcome }) => outcome === null);
  if (open.length === 0) return;
  const { items } = await serving.listRevisions(deployment, { limit: 100 });
  for (const claim of open) {
    const made = items.findLast(({ revision, change }) => revision > claim.revision && change === "rollback");
    if (made === undefined) continue;
    const detail = rolledBack(claim.revision, made.revision);
    await rollbacks.end(claim, { outcome: "rolled_back", detail, new_revision: made.revision });
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
