import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Clock } from "../../../shared/clock.ts";
import { conflict, isKetlineError, type KetlineError, notFound } from "../../../shared/errors.ts";
import { decodeCursor, page } from "../../../shared/http/index.ts";
import { type Actor, type AuditLog, systemActor } from "../../../shared/identity/index.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
import type { Alongside, Deployments } from "../deployments.ts";
import { sameSpec, specOf } from "../revisions.ts";
import type { DeploymentRevision } from "../schemas.ts";
import type { ChangeAuthor, Page, PageRequest } from "../serving.ts";
import type { DeploymentStore, DeploymentWriter } from "../store.ts";
import type { Tallies } from "../tallies.ts";
import type { TallyStore } from "../tally-store.ts";
import { evidenceOf, judgeGates } from "./gates.ts";
import { currentStep, planRollout, specAt } from "./plan.ts";
import { atStep, ended, paused, resumed, type StepEnd, writeMove } from "./progress.ts";
import type { AdvanceBody, Rollout, RolloutDetail, StartRolloutBody, Verdict } from "./schemas.ts";
import type { RolloutStore, StoredRollout } from "./store.ts";

type By = Pick<ChangeAuthor, "actor" | "reason">;

/** Staged rollouts of new variants. At most one of a deployment is active. */
export interface Rollouts {
  /** @throws not_found; conflict when one is active; invalid for steps or a target that make no sense */
  start(deployment: string, wanted: StartRolloutBody, actor: Actor): Promise<RolloutDetail>;
  /** @throws not_found */
  get(deployment: string, id: string): Promise<RolloutDetail>;
  /** Newest first. @throws not_found when there never was such a deployment */
  list(deployment: string, page: PageRequest): Promise<Page<Rollout>>;
  /** Stops the clock and the verdicts; the traffic stays as it is. @throws conflict unless it is running */
  pause(deployment: string, id: string, by: By): Promise<RolloutDetail>;
  /** @throws conflict unless it is paused */
  resume(deployment: string, id: string, by: By): Promise<RolloutDetail>;
  /** Restores the revision before the rollout. @throws conflict when it has ended, or when that cannot be served */
  abort(deployment: string, id: string, by: By): Promise<RolloutDetail>;
  /** Goes on without waiting for time and gates. @throws conflict when it has ended or is at another step */
  advance(deployment: string, id: string, wanted: AdvanceBody, actor: Actor): Promise<RolloutDetail>;
  /**
   * Looks at each running rollout once: takes the steps that are due, and acts on gates that fail. Any number of
   * instances may do so at once: each move is made in one transaction, for the step and revision that were judged.
   */
  tick(): Promise<void>;
}

export interface RolloutsOptions {
  readonly store: DeploymentStore;
  readonly rollouts: RolloutStore;
  readonly deployments: Deployments;
  readonly tallies: Pick<Tallies, "flush">;
  readonly tallyStore: Pick<TallyStore, "read">;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

const shownEvents = 200;
const atATime = 100;
const Position = z.object({ startedMs: z.number(), id: z.string() });

export function createRollouts(options: RolloutsOptions): Rollouts {
  const { store, rollouts, deployments, tallies, tallyStore, audit, clock, logger } = options;

  const find = async (deployment: string, id: string) =>
    found(await rollouts.find(deployment, id), deployment, id);
  const detail = async (deployment: string, id: string): Promise<RolloutDetail> => {
    const rollout = await find(deployment, id);
    const events = await rollouts.events(id, shownEvents);
    if (rollout.endedMs !== null) return { ...shown(rollout), events: [...events] };
    await tallies.flush();
    const { requests, verdicts } = await judge(rollout);
    const current = { ...currentStep(rollout), requests, verdicts: [...verdicts] };
    return { ...shown(rollout), steps: rollout.steps.with(rollout.step - 1, current), events: [...events] };
  };
  const judge = async (rollout: StoredRollout): Promise<Pick<StepEnd, "requests" | "verdicts">> => {
    const parts = await tallyStore.read(rollout.deployment, rollout.revision, 0);
    const names = { target: rollout.target.name, champion: rollout.champion };
    const evidence = evidenceOf(parts, names, currentStep(rollout).weight === 0);
    return { requests: evidence.ours.requests, verdicts: judgeGates(rollout.gates, evidence) };
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
      const event = { kind, revision: null, by: authorOf(by.actor), reason: by.reason, atMs };
      await writeMove(writer.rollouts, moved(rollout, atMs), event);
    });
  const stepTo = async (rollout: StoredRollout, to: number, end: StepEnd, by: By) => {
    const step = rollout.steps[to - 1];
    if (step === undefined) throw new RangeError(`Rollout ${rollout.id} has no step ${to}.`);
    const base = await deployments.getRevision(rollout.deployment, rollout.baseRevision);
    const reason = `Step ${to} of ${rollout.steps.length}, ${step.weight} % for "${rollout.target.name}": ${by.reason}`;
    const alongside: Alongside = {
      rollout: rollout.id,
      async write(writer, revision) {
        const moved = atStep(await unmoved(writer, rollout), to, end, revision);
        const kind = moved.state === "completed" ? "completed" : "stepped";
        await writeMove(writer.rollouts, moved, eventOf(kind, revision));
      },
    };
    const expectedRevision = rollout.revision;
    const author = { actor: by.actor, reason, expectedRevision, alongside };
    const spec = specAt(base.spec, rollout.target, step);
    await deployments.changeDeployment(rollout.deployment, spec, author).catch(raced(rollout));
  };
  const takeBack = async (rollout: StoredRollout, end: StepEnd, by: By) => {
    const { deployment, baseRevision, revision: expectedRevision } = rollout;
    const base = await deployments.getRevision(deployment, baseRevision);
    if (sameSpec(base, await deployments.getRevision(deployment, expectedRevision))) {
      await move(rollout, "aborted", by, (now, nowMs) => ended(now, "aborted", end, by.reason, nowMs));
      return;
    }
    const alongside: Alongside = {
      rollout: null,
      async write(writer, revision) {
        const now = await unmoved(writer, rollout);
        const moved = ended(now, "aborted", end, by.reason, revision.createdMs);
        await writeMove(writer.rollouts, moved, eventOf("aborted", revision));
      },
    };
    const back = { ...by, toRevision: baseRevision, expectedRevision, alongside };
    await deployments.rollback(deployment, back).catch(raced(rollout));
  };
  const pauseIt = (rollout: StoredRollout, by: By) =>
    move(rollout, "paused", by, (now, nowMs) => paused(now, by.reason, nowMs));

  const acted = async (action: string, before: Rollout, by: By) => {
    const after = await detail(before.deployment, before.id);
    await audit.record({
      actor: by.actor,
      action: `rollout.${action}`,
      subject: `deployment/${before.deployment}/rollouts/${before.id}`,
      before: action === "start" ? null : { state: before.state, step: before.step },
      after: { state: after.state, step: after.step, revision: after.revision },
      reason: by.reason,
    });
    return after;
  };

  const look = async (rollout: StoredRollout): Promise<void> => {
    const judged = await judge(rollout);
    const by = (reason: string) => ({ actor: actorOf(rollout), reason });
    const failed = judged.verdicts.find(({ verdict }) => verdict === "fail");
    if (failed !== undefined) {
      const because = by(
        `Gate ${failed.signal} failed at ${currentStep(rollout).weight} %. ${failed.sentence}`,
      );
      if (rollout.onFailure === "pause") await pauseIt(rollout, because);
      else await orPause(rollout, takeBack(rollout, { state: "failed", ...judged }, because));
      return;
    }
    const { minutes, minimumRequests } = currentStep(rollout);
    if (clock() - rollout.sinceMs < minutes * 60_000) return;
    if ((judged.requests ?? 0) < minimumRequests) return;
    if (judged.verdicts.some(({ verdict }) => verdict !== "pass")) return;
    const next = by(`Step ${rollout.step} passed. ${sentences(judged.verdicts)}`.trim());
    await orPause(rollout, stepTo(rollout, rollout.step + 1, { state: "passed", ...judged }, next));
  };
  /** What cannot be done now cannot be done a minute later either: a person has to look. */
  const orPause = async (rollout: StoredRollout, doing: Promise<void>) => {
    try {
      await doing;
    } catch (error) {
      if (hasMovedOn(error) || !isKetlineError(error)) throw error;
      if (error.kind === "unavailable" || error.kind === "timeout") throw error;
      await pauseIt(rollout, { actor: actorOf(rollout), reason: `It could not go on. ${error.message}` });
    }
  };

  return {
    get: detail,
    async list(deployment, { limit = 100, cursor } = {}) {
      const items = await rollouts.list(deployment, decodeCursor(Position, cursor), limit + 1);
      if (items.length === 0 && (await store.find(deployment)) === null) {
        throw notFound(`There is no deployment "${deployment}".`);
      }
      return page(items, limit, shown, ({ startedMs, id }) => ({ startedMs, id }));
    },

    async start(name, wanted, actor) {
      const base = await deployments.getDeployment(name);
      const [newest] = await rollouts.list(name, undefined, 1);
      if (newest?.endedMs === null) throw alreadyActive(newest);
      const plan = planRollout(name, specOf(base), wanted);
      const id = randomUUID();
      const [first] = plan.steps;
      if (first === undefined) throw new RangeError("A plan has a step.");
      const planned: StoredRollout = {
        id,
        deployment: name,
        state: "running",
        stateReason: wanted.reason,
        ...plan,
        gates: wanted.gates,
        onFailure: wanted.onFailure,
        step: 1,
        baseRevision: base.revision,
        revision: base.revision,
        startedMs: clock(),
        endedMs: null,
        startedBy: authorOf(actor),
        reason: wanted.reason,
        sinceMs: clock(),
        pausedMs: null,
      };
      const alongside: Alongside = {
        rollout: id,
        async write(writer, revision) {
          const active = await writer.rollouts.active(name);
          if (active !== null) throw alreadyActive(active);
          const begun = atStep(planned, 1, { state: "left", requests: null, verdicts: [] }, revision);
          await writer.rollouts.insert(begun);
          const { author: by, createdMs: atMs } = revision;
          const event = { atMs, by, step: 1, revision: revision.revision, reason: wanted.reason };
          await writer.rollouts.addEvent(id, { ...event, kind: "started" });
          if (begun.state === "completed")
            await writer.rollouts.addEvent(id, { ...event, kind: "completed" });
        },
      };
      const step = `Step 1 of ${plan.steps.length}, ${first.weight} % for "${plan.target.name}"`;
      const by = { actor: actorOf(planned), reason: `${step}: ${wanted.reason}` };
      await deployments
        .changeDeployment(name, specAt(base, plan.target, first), {
          ...by,
          expectedRevision: base.revision,
          alongside,
        })
        .catch(raced(planned));
      return acted("start", planned, { actor, reason: wanted.reason });
    },

    async pause(deployment, id, by) {
      const rollout = await find(deployment, id);
      if (rollout.state !== "running") throw wrongState(rollout, "be paused");
      await pauseIt(rollout, by);
      return acted("pause", rollout, by);
    },

    async resume(deployment, id, by) {
      const rollout = await find(deployment, id);
      if (rollout.state !== "paused") throw wrongState(rollout, "be resumed");
      await move(rollout, "resumed", by, (now, nowMs) => resumed(now, by.reason, nowMs));
      return acted("resume", rollout, by);
    },

    async abort(deployment, id, by) {
      const rollout = await find(deployment, id);
      if (rollout.endedMs !== null) throw wrongState(rollout, "be aborted");
      await tallies.flush();
      await takeBack(rollout, { state: "left", ...(await judge(rollout)) }, by);
      return acted("abort", rollout, by);
    },

    async advance(deployment, id, { fromStep, complete, reason }, actor) {
      const rollout = await find(deployment, id);
      if (rollout.endedMs !== null) throw wrongState(rollout, "advance");
      if (fromStep !== undefined && fromStep !== rollout.step) {
        throw conflict(`Rollout ${id} is at step ${rollout.step}, not at ${fromStep} any more.`, {
          members: { step: rollout.step },
        });
      }
      await tallies.flush();
      const to = complete ? rollout.steps.length : rollout.step + 1;
      const by = { actor, reason };
      await stepTo(rollout, to, { state: "left", ...(await judge(rollout)) }, by);
      return acted("advance", rollout, by);
    },

    async tick() {
      await tallies.flush();
      for (let after = ""; ; ) {
        const running = await rollouts.running(after, atATime);
        for (const rollout of running) {
          try {
            await look(rollout);
          } catch (error) {
            // Another instance, or a person, was quicker.
            if (hasMovedOn(error)) continue;
            const { id, deployment } = rollout;
            logger.error({ err: error, deployment, rollout: id }, "a rollout could not be looked at");
          }
        }
        const last = running.at(-1);
        if (last === undefined || running.length < atATime) return;
        after = last.id;
      }
    },
  };
}

function shown({ sinceMs: _, pausedMs: __, ...rollout }: StoredRollout): Rollout {
  return rollout;
}

function found(rollout: StoredRollout | null, deployment: string, id: string): StoredRollout {
  if (rollout === null) throw notFound(`Deployment "${deployment}" has no rollout "${id}".`);
  return rollout;
}

/** @throws when the rollout is not where it was seen any more */
async function unmoved(writer: DeploymentWriter, seen: StoredRollout): Promise<StoredRollout> {
  const now = found(await writer.rollouts.find(seen.deployment, seen.id), seen.deployment, seen.id);
  if (now.state !== seen.state || now.step !== seen.step || now.revision !== seen.revision) {
    throw movedOn(now);
  }
  return now;
}

const movedOnCode = "ROLLOUT_MOVED_ON";

function movedOn({ id, state, step }: Pick<Rollout, "id" | "state" | "step">): KetlineError {
  return conflict(`Rollout ${id} has moved meanwhile: it is ${state} at step ${step}. Read it again.`, {
    code: movedOnCode,
  });
}

function hasMovedOn(error: unknown): boolean {
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

function alreadyActive({ id, deployment, state }: Rollout): KetlineError {
  return conflict(
    `Rollout ${id} of "${deployment}" is ${state}; abort it or let it end before the next one.`,
  );
}

function wrongState({ id, state, stateReason }: Rollout, what: string): KetlineError {
  return conflict(`Rollout ${id} is ${state} and cannot ${what}. ${stateReason}`);
}

/** The rollout itself, for whoever started it. */
function actorOf({ id, startedBy }: Rollout): Actor {
  return { ...systemActor(`rollout:${id}`), name: `rollout started by ${startedBy.name}` };
}

function authorOf({ id, name }: Actor): { id: string; name: string } {
  return { id, name };
}

function eventOf(kind: "stepped" | "completed" | "aborted", revision: DeploymentRevision) {
  const { author: by, createdMs: atMs, reason } = revision;
  return { kind, by, atMs, reason, revision: revision.revision };
}

function sentences(verdicts: readonly Verdict[]): string {
  return verdicts.map(({ sentence }) => sentence).join(" ");
}
