import { randomUUID } from "node:crypto";
import type { Clock } from "../../../shared/clock.ts";
import { conflict, isKetlineError, type KetlineError, notFound } from "../../../shared/errors.ts";
import { type Actor, type AuditLog, systemActor } from "../../../shared/identity/index.ts";
import type { Alongside, Deployments } from "../deployments/deployments.ts";
import { sameSpec, specOf } from "../deployments/revisions.ts";
import type { DeploymentStore, DeploymentWriter } from "../deployments/store.ts";
import type { DeploymentRevision } from "../schemas.ts";
import type { ChangeAuthor } from "../serving.ts";
import { planRollout, specAt } from "./plan.ts";
import { atStep, ended, paused, resumed, type StepEnd, writeMove } from "./progress.ts";
import type { Rollout, RolloutEvent, StartRolloutBody } from "./schemas.ts";
import type { StoredRollout } from "./store.ts";

export type By = Pick<ChangeAuthor, "actor" | "reason">;

/**
 * What can happen to a rollout. Each move is one transaction, together with the revision that it makes, happens only while
 * the rollout is where it was seen, and is written to the audit log, whoever makes it.
 *
 * @returns the rollout as the move left it
 * @throws conflict for which `hasMovedOn` is true when somebody else was quicker
 */
export interface Moves {
  /** @throws also conflict when one is active; invalid for a plan that makes no sense */
  begin(deployment: string, wanted: StartRolloutBody, actor: Actor): Promise<StoredRollout>;
  /** @param to number of a later step */
  stepTo(rollout: StoredRollout, to: number, end: StepEnd, by: By): Promise<StoredRollout>;
  /** Restores the revision before the rollout. @throws also conflict when that cannot be served */
  takeBack(rollout: StoredRollout, end: StepEnd, by: By): Promise<StoredRollout>;
  pause(rollout: StoredRollout, by: By): Promise<StoredRollout>;
  resume(rollout: StoredRollout, by: By): Promise<StoredRollout>;
}

export interface MovesOptions {
  readonly store: Pick<DeploymentStore, "change">;
  readonly deployments: Deployments;
  readonly audit: AuditLog;
  readonly clock: Clock;
}

export function createMoves({ store, deployments, audit, clock }: MovesOptions): Moves {
  const recorded = async (
    action: "start" | "advance" | "pause" | "resume" | "abort",
    before: StoredRollout | null,
    after: StoredRollout,
    by: By,
  ) => {
    await audit.record({
      actor: by.actor,
      action: `rollout.${action}`,
      subject: `deployment/${after.deployment}/rollouts/${after.id}`,
      before: before === null ? null : { state: before.state, step: before.step },
      after: { state: after.state, step: after.step, revision: after.revision },
      reason: by.reason,
    });
    return after;
  };
  const begin: Moves["begin"] = async (name, wanted, actor) => {
    const base = await deployments.getDeployment(name);
    const plan = planRollout(name, specOf(base), wanted);
    const [first] = plan.steps;
    if (first === undefined) throw new RangeError("A plan has a step.");
    const nowMs = clock();
    const planned: StoredRollout = {
      id: randomUUID(),
      deployment: name,
      state: "running",
      stateReason: wanted.reason,
      ...plan,
      onFailure: wanted.onFailure,
      onDeadline: wanted.onDeadline,
      step: 1,
      baseRevision: base.revision,
      revision: base.revision,
      startedMs: nowMs,
      endedMs: null,
      startedBy: authorOf(actor),
      reason: wanted.reason,
      sinceMs: nowMs,
      pausedMs: null,
    };
    let begun = planned;
    const alongside: Alongside = {
      rollout: planned.id,
      async write(writer, revision) {
        const active = await writer.rollouts.active(name);
        if (active !== null) throw alreadyActive(active);
        begun = atStep(planned, 1, nothingSeen, revision);
        await writer.rollouts.insert(begun);
        const event = { ...eventOf("started", revision), step: 1, reason: wanted.reason };
        await writer.rollouts.addEvent(planned.id, event);
        if (begun.state === "completed") {
          await writer.rollouts.addEvent(planned.id, { ...event, kind: "completed" });
        }
      },
    };
    const reason = `Step 1 of ${plan.steps.length}, ${first.weight} % for "${plan.target.name}": ${wanted.reason}`;
    const author = { actor: actorOf(planned), reason, expectedRevision: base.revision, alongside };
    await deployments.changeDeployment(name, specAt(base, plan.target, first), author).catch(raced(planned));
    return recorded("start", null, begun, { actor, reason: wanted.reason });
  };
  /** A move of a rollout that changes nothing of what is served. */
  const move = (
    seen: StoredRollout,
    kind: "paused" | "resumed" | "aborted",
    by: By,
    moved: (rollout: StoredRollout, nowMs: number) => StoredRollout,
  ) =>
    store.change(async (writer) => {
      const rollout = await unmoved(writer, seen);
      const atMs = clock();
      const after = moved(rollout, atMs);
      const event = { kind, revision: null, by: authorOf(by.actor), reason: by.reason, atMs };
      await writeMove(writer.rollouts, after, event);
      return after;
    });
  const stepTo: Moves["stepTo"] = async (rollout, to, end, by) => {
    const step = rollout.steps[to - 1];
    if (step === undefined) throw new RangeError(`Rollout ${rollout.id} has no step ${to}.`);
    const base = await deployments.getRevision(rollout.deployment, rollout.baseRevision);
    const reason = `Step ${to} of ${rollout.steps.length}, ${step.weight} % for "${rollout.target.name}": ${by.reason}`;
    let moved = rollout;
    const alongside: Alongside = {
      rollout: rollout.id,
      async write(writer, revision) {
        moved = atStep(await unmoved(writer, rollout), to, end, revision);
        const kind = moved.state === "completed" ? "completed" : "stepped";
        await writeMove(writer.rollouts, moved, eventOf(kind, revision));
      },
    };
    const expectedRevision = rollout.revision;
    const author = { actor: by.actor, reason, expectedRevision, alongside };
    const spec = specAt(base.spec, rollout.target, step);
    await deployments.changeDeployment(rollout.deployment, spec, author).catch(raced(rollout));
    return recorded("advance", rollout, moved, by);
  };
  const takeBack: Moves["takeBack"] = async (rollout, end, by) => {
    const { deployment, baseRevision, revision: expectedRevision } = rollout;
    const base = await deployments.getRevision(deployment, baseRevision);
    if (sameSpec(base, await deployments.getRevision(deployment, expectedRevision))) {
      const after = await move(rollout, "aborted", by, (now, nowMs) =>
        ended(now, "aborted", end, by.reason, nowMs),
      );
      return recorded("abort", rollout, after, by);
    }
    let moved = rollout;
    const alongside: Alongside = {
      rollout: null,
      async write(writer, revision) {
        const now = await unmoved(writer, rollout);
        moved = ended(now, "aborted", end, by.reason, revision.createdMs);
        await writeMove(writer.rollouts, moved, eventOf("aborted", revision));
      },
    };
    const back = { ...by, toRevision: baseRevision, expectedRevision, alongside };
    await deployments.rollback(deployment, back).catch(raced(rollout));
    return recorded("abort", rollout, moved, by);
  };
  return {
    begin,
    stepTo,
    takeBack,
    async pause(rollout, by) {
      const after = await move(rollout, "paused", by, (now, nowMs) => paused(now, by.reason, nowMs));
      return recorded("pause", rollout, after, by);
    },
    async resume(rollout, by) {
      const after = await move(rollout, "resumed", by, (now, nowMs) => resumed(now, by.reason, nowMs));
      return recorded("resume", rollout, after, by);
    },
  };
}

const nothingSeen: StepEnd = { state: "left", requests: null, verdicts: [] };

export function found(rollout: StoredRollout | null, deployment: string, id: string): StoredRollout {
  if (rollout === null) throw notFound(`Deployment "${deployment}" has no rollout "${id}".`);
  return rollout;
}

/** @throws when the rollout is not where it was seen any more, or its clock was stopped meanwhile */
async function unmoved(writer: DeploymentWriter, seen: StoredRollout): Promise<StoredRollout> {
  const now = found(await writer.rollouts.find(seen.deployment, seen.id), seen.deployment, seen.id);
  const moved =
    now.state !== seen.state ||
    now.step !== seen.step ||
    now.revision !== seen.revision ||
    now.sinceMs !== seen.sinceMs;
  if (moved) throw movedOn(now);
  return now;
}

const movedOnCode = "ROLLOUT_MOVED_ON";

function movedOn({ id, state, step }: Pick<Rollout, "id" | "state" | "step">): KetlineError {
  return conflict(`Rollout ${id} has moved meanwhile: it is ${state} at step ${step}. Read it again.`, {
    code: movedOnCode,
  });
}

export function hasMovedOn(error: unknown): boolean {
  return isKetlineError(error, "conflict") && error.details.code === movedOnCode;
}

/** A change that came between reading and writing is told in the rollout's words. */
function raced(rollout: StoredRollout): (error: unknown) => never {
  return (error) => {
    if (!isKetlineError(error, "precondition_failed")) throw error;
    throw conflict(`Deployment "${rollout.deployment}" has changed meanwhile. Read it again.`, {
      code: movedOnCode,
    });
  };
}

export function alreadyActive({ id, deployment, state }: Rollout): KetlineError {
  return conflict(
    `Rollout ${id} of "${deployment}" is ${state}; abort it or let it end before the next one.`,
  );
}

/** The rollout itself, for whoever started it. */
export function actorOf({ id, startedBy }: Rollout): Actor {
  return { ...systemActor(`rollout:${id}`), name: `rollout started by ${startedBy.name}` };
}

function authorOf({ id, name }: Actor): { id: string; name: string } {
  return { id, name };
}

function eventOf(kind: RolloutEvent["kind"], revision: DeploymentRevision) {
  const { author: by, createdMs: atMs, reason } = revision;
  return { kind, by, atMs, reason, revision: revision.revision };
}
