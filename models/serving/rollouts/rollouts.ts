import { z } from "zod";
import type { Clock } from "../../../shared/clock.ts";
import { conflict, isKetlineError, type KetlineError, notFound } from "../../../shared/errors.ts";
import { decodeCursor, page } from "../../../shared/http/index.ts";
import type { Actor, AuditLog, CheckStanding } from "../../../shared/identity/index.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
import type { Deployments } from "../deployments/deployments.ts";
import type { DeploymentStore } from "../deployments/store.ts";
import type { Shadow, Variant } from "../schemas.ts";
import type { Page, PageRequest } from "../serving.ts";
import type { Ledger } from "../traffic/ledger.ts";
import { deadlineMs } from "./deadline.ts";
import { createEvaluation, type Judged } from "./evaluate.ts";
import { evidenceOf, type Served } from "./evidence.ts";
import { judgeGates } from "./gates.ts";
import { alreadyActive, type By, createMoves, found, hasMovedOn } from "./moves.ts";
import { currentStep } from "./plan.ts";
import type { AdvanceBody, Rollout, RolloutDetail, StartRolloutBody } from "./schemas.ts";
import type { RolloutStore, StoredRollout } from "./store.ts";

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
  readonly ledger: Pick<Ledger, "trafficOf">;
  /** The version that an alias names now. @throws not_found */
  readonly versionOf: (aliased: Variant | Shadow) => Promise<string>;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly checkStanding: CheckStanding;
  readonly logger: Logger;
}

const shownEvents = 200;
const atATime = 100;
const maxTries = 5;
const Position = z.object({ startedMs: z.number(), id: z.string() });

export function createRollouts(options: RolloutsOptions): Rollouts {
  const { store, rollouts, deployments, ledger, versionOf, clock, checkStanding, logger } = options;
  const moves = createMoves(options);

  const find = async (deployment: string, id: string) =>
    found(await rollouts.find(deployment, id), deployment, id);
  const detail = async (deployment: string, id: string): Promise<RolloutDetail> => {
    const rollout = await find(deployment, id);
    const events = await rollouts.events(id, shownEvents);
    if (rollout.endedMs !== null) return { ...shown(rollout), deadlineMs: null, events: [...events] };
    const { requests, verdicts } = await judge(rollout);
    const current = { ...currentStep(rollout), requests, verdicts: [...verdicts] };
    return {
      ...shown(rollout),
      steps: rollout.steps.with(rollout.step - 1, current),
      deadlineMs: rollout.state === "running" ? deadlineMs(rollout) : null,
      events: [...events],
    };
  };
  /** An alias that is gone is told by the step or the rollback that needs it. */
  const served = async (variants: readonly (Variant | Shadow)[], name: string): Promise<Served> => {
    const variant = variants.find((candidate) => candidate.name === name);
    if (variant === undefined) return { name, version: null };
    if ("version" in variant) return { name, version: variant.version };
    try {
      return { name, version: await versionOf(variant) };
    } catch (error) {
      if (isKetlineError(error, "not_found")) return { name, version: null };
      throw error;
    }
  };
  const judge = async (rollout: StoredRollout): Promise<Judged> => {
    const { deployment, revision } = rollout;
    const traffic = await ledger.trafficOf(deployment, { revisions: { from: revision, to: revision } });
    const { spec } = await deployments.getRevision(rollout.deployment, rollout.revision);
    const variants = [...spec.variants, ...spec.shadows];
    const sides = {
      target: await served(variants, rollout.target.name),
      champion: await served(variants, rollout.champion),
    };
    const evidence = evidenceOf(traffic, sides, currentStep(rollout).weight === 0);
    return { requests: evidence.ours.requests, verdicts: judgeGates(rollout.gates, evidence) };
  };

  const evaluate = createEvaluation({ moves, judge, clock, checkStanding, logger });

  /** A person means the rollout itself: a step that is taken at the same moment does not stand in the way. */
  const whereverItIs = async (
    deployment: string,
    id: string,
    act: (rollout: StoredRollout) => Promise<unknown>,
  ): Promise<RolloutDetail> => {
    for (let tries = 1; ; tries++) {
      const rollout = await find(deployment, id);
      try {
        await act(rollout);
        return await detail(deployment, id);
      } catch (error) {
        if (!hasMovedOn(error) || tries === maxTries) throw error;
      }
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
      const [newest] = await rollouts.list(name, undefined, 1);
      // Told before the new version is loaded; whoever comes at the same moment is told by the transaction.
      if (newest?.endedMs === null) throw alreadyActive(newest);
      const { id } = await moves.begin(name, wanted, actor);
      return detail(name, id);
    },

    pause: (deployment, id, by) =>
      whereverItIs(deployment, id, async (rollout) => {
        if (rollout.state !== "running") throw wrongState(rollout, "be paused");
        await moves.pause(rollout, by);
      }),

    async resume(deployment, id, by) {
      const rollout = await find(deployment, id);
      if (rollout.state !== "paused") throw wrongState(rollout, "be resumed");
      await moves.resume(rollout, by);
      return detail(deployment, id);
    },

    abort: (deployment, id, by) =>
      whereverItIs(deployment, id, async (rollout) => {
        if (rollout.endedMs !== null) throw wrongState(rollout, "be aborted");
        await moves.takeBack(rollout, { state: "left", ...(await judge(rollout)) }, by);
      }),

    async advance(deployment, id, { fromStep, complete, reason }, actor) {
      const rollout = await find(deployment, id);
      if (rollout.endedMs !== null) throw wrongState(rollout, "advance");
      if (fromStep !== undefined && fromStep !== rollout.step) {
        throw conflict(`Rollout ${id} is at step ${rollout.step}, not at ${fromStep} any more.`, {
          members: { step: rollout.step },
        });
      }
      const to = complete ? rollout.steps.length : rollout.step + 1;
      const by = { actor, reason };
      await moves.stepTo(rollout, to, { state: "left", ...(await judge(rollout)) }, by);
      return detail(deployment, id);
    },

    async tick() {
      for (let after = ""; ; ) {
        const running = await rollouts.running(after, atATime);
        for (const rollout of running) {
          try {
            await evaluate(rollout);
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

function wrongState({ id, state, stateReason }: Rollout, what: string): KetlineError {
  return conflict(`Rollout ${id} is ${state} and cannot ${what}. ${stateReason}`);
}
