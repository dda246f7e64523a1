import type { Logger } from "pino";
import type { Clock } from "../../../shared/clock.ts";
import { isFinal, isKetlineError } from "../../../shared/errors.ts";
import { type Actor, type CheckStanding, systemActor } from "../../../shared/identity/index.ts";
import type { Job, Jobs } from "../../../shared/jobs/index.ts";
import type { Datasets, DatasetVersion } from "../../datasets/index.ts";
import type { Trainings } from "../create-training.ts";
import { type RolloutStatus, specOf } from "./schedules.ts";
import type { Cause, FiringState, ScheduleSpec } from "./schemas.ts";
import type { FiringRow, ScheduleRow, ScheduleStore } from "./store.ts";

/** Starts what follows a promoted version. Asking twice for the same firing starts one rollout. */
export type StartRollout = (request: {
  readonly deployment: string;
  readonly plan: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly version: number;
  /** The firing: asking again for it starts nothing new. */
  readonly key: string;
  readonly reason: string;
  readonly actor: Actor;
}) => Promise<string>;

export interface WorkOptions {
  readonly store: ScheduleStore;
  readonly trainings: Pick<Trainings, "submit">;
  readonly jobs: Pick<Jobs, "get" | "cancel">;
  readonly datasets: Pick<Datasets, "newestVersion" | "getVersion">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly checkStanding: CheckStanding;
  readonly startRollout: StartRollout;
  readonly rollout: (deployment: string, id: string) => Promise<RolloutStatus | null>;
}

const atATime = 100;

/**
 * Takes every open firing one step on: from waiting to a training, from its end to a rollout, from there to the end. Each
 * step is written before the next one, and starting twice starts nothing twice, so that a crash between two steps or
 * several instances at once do no harm.
 */
export function createWork(options: WorkOptions): () => Promise<void> {
  const { store, logger } = options;
  return async () => {
    for (let after: { firedMs: number; id: string } | undefined; ; ) {
      const open = await store.open(after, atATime);
      for (const firing of open) {
        try {
          await step(options, firing);
        } catch (error) {
          // What is away now is tried again at the next round.
          logger.warn({ schedule: firing.schedule, firing: firing.id, err: error }, "a firing waits");
        }
      }
      const last = open.at(-1);
      if (last === undefined || open.length < atATime) return;
      after = { firedMs: last.fired_ms, id: last.id };
    }
  };
}

async function step(options: WorkOptions, firing: FiringRow): Promise<void> {
  const schedule = await options.store.get(firing.schedule);
  switch (firing.state) {
    case "waiting":
      if (schedule !== undefined) return begin(options, schedule, firing);
      return end(options, firing, "skipped", "The schedule was removed before it could start.");
    case "running":
      return follow(options, schedule, firing);
    case "rolling_out":
      return followRollout(options, firing);
    default:
      return;
  }
}

/** Takes the schedule's one place, as its overlap policy says, and starts the training. */
async function begin(options: WorkOptions, schedule: ScheduleRow, firing: FiringRow): Promise<void> {
  const { store } = options;
  const { active_firing: active, name } = schedule;
  const spec = specOf(schedule);
  if (active !== firing.id) {
    if (active !== null && spec.overlap === "queue") return;
    if (active !== null && spec.overlap === "skip") {
      return end(options, firing, "skipped", `Firing ${active} still runs; overlap is skip.`);
    }
    if (!(await store.claim(name, firing.id, active))) return; // somebody was quicker; at the next round
  }
  if (spec.overlap === "replace") await replaceOthers(options, firing);
  await train(options, schedule, spec, firing);
}

/** Ends what else of the schedule still trains. */
async function replaceOthers({ store, jobs, clock }: WorkOptions, firing: FiringRow): Promise<void> {
  const running = await store.firings(firing.schedule, "running", undefined, atATime);
  for (const other of running) {
    if (other.id === firing.id) continue;
    const reason = `Replaced by firing ${firing.id}.`;
    if (other.training_id !== null) {
      const actor = systemActor(`schedule:${firing.schedule}`);
      await jobs.cancel(other.training_id, actor, reason).catch((error: unknown) => {
        // It has ended by itself meanwhile.
        if (!isKetlineError(error, "conflict")) throw error;
      });
    }
    await store.update(other, { state: "replaced", reason, ended_ms: clock() });
  }
}

async function train(
  options: WorkOptions,
  schedule: ScheduleRow,
  spec: ScheduleSpec,
  firing: FiringRow,
): Promise<void> {
  const { store, datasets, trainings } = options;
  const { dataset, version: wanted } = spec.training;
  const newest = await datasets.newestVersion(dataset);
  if (wanted === "latest" && newest !== null) {
    // Profiling takes a moment, and its tests decide.
    if (newest.state === "pending") return;
    if (newest.state !== "ready") return end(options, firing, "refused", refusal(newest));
  }
  try {
    const version = await datasets.getVersion(dataset, wanted);
    const cause = JSON.parse(firing.cause) as Cause;
    if (cause.kind === "time" && spec.whenUnchanged === "skip") {
      const last = await store.lastTrained(schedule.name);
      if (last?.data_version === version.version && last.schedule_revision === schedule.revision) {
        const reason = `"${dataset}" has no version that firing ${last.id} did not train on.`;
        return await end(options, firing, "skipped", reason);
      }
    }
    const { id } = await trainings.submit(
      { ...spec.training, version: version.version },
      { actor: JSON.parse(schedule.author) as Actor, idempotencyKey: `firing:${firing.id}` },
    );
    await store.update(firing, { state: "running", training_id: id, data_version: version.version });
  } catch (error) {
    if (!isFinal(error)) throw error;
    await end(options, firing, "failed", error.message);
  }
}

/** Why nothing is trained on a version that did not pass: each constraint with what the data has. */
function refusal({ dataset, version, state, error, checks }: DatasetVersion): string {
  const failed = checks.filter(({ passed }) => !passed).slice(0, 5);
  const said = failed.map(({ expectation, observed }) => `${JSON.stringify(expectation)}: ${observed}`);
  const why = said.length > 0 ? said.join("; ") : (error ?? "it could not be read");
  return `Version ${version.slice(0, 12)} of "${dataset}" is ${state}, so nothing was trained. ${why}`;
}

interface Result {
  readonly runId: string;
  readonly model: { readonly name: string; readonly version: number } | null;
  readonly decision: { readonly promoted: boolean; readonly reason: string } | null;
}

/** Writes down how the training ended, and starts the rollout where its version was promoted. */
async function follow(
  options: WorkOptions,
  schedule: ScheduleRow | undefined,
  firing: FiringRow,
): Promise<void> {
  const { store, jobs, clock } = options;
  if (firing.training_id === null) return;
  const job: Job = await jobs.get(firing.training_id);
  if (job.state === "queued" || job.state === "running") return;
  if (job.state !== "succeeded") {
    return end(
      options,
      firing,
      "failed",
      `Its training was ${job.state}: ${job.error ?? "no reason is known"}`,
    );
  }
  const { runId, model, decision } = job.result as Result;
  const result = {
    run_id: runId,
    model: model?.name ?? null,
    model_version: model?.version ?? null,
    promoted: decision === null ? null : Number(decision.promoted),
    verdict: decision?.reason ?? null,
  };
  const rollout = schedule === undefined ? null : specOf(schedule).rollout;
  if (schedule === undefined || rollout === null || model === null || decision?.promoted !== true) {
    const reason = decision === null ? "Trained." : decision.reason;
    await store.update(firing, { ...result, state: "succeeded", reason, ended_ms: clock() });
    return;
  }
  try {
    const author = JSON.parse(schedule.author) as Actor;
    await options.checkStanding(author, "operator");
    const id = await options.startRollout({
      ...rollout,
      model: model.name,
      version: model.version,
      key: firing.id,
      reason: `Schedule "${schedule.name}": ${decision.reason}`.slice(0, 1900),
      actor: author,
    });
    const next = { deployment: rollout.deployment, rollout_id: id };
    await store.update(firing, { ...result, ...next, state: "rolling_out" });
  } catch (error) {
    if (!isFinal(error)) throw error;
    const reason = `Its version was promoted, but could not be rolled out: ${error.message}`;
    await store.update(firing, { ...result, state: "failed", reason, ended_ms: clock() });
  }
}

async function followRollout(options: WorkOptions, firing: FiringRow): Promise<void> {
  const { deployment, rollout_id: id } = firing;
  if (deployment === null || id === null) return;
  const status = await options.rollout(deployment, id);
  if (status === null) return end(options, firing, "failed", "Its rollout is gone.");
  const { state, stateReason } = status;
  if (state === "running" || state === "paused") return;
  await end(
    options,
    firing,
    state === "completed" ? "succeeded" : "failed",
    `Its rollout is ${state}: ${stateReason}`,
  );
}

async function end(
  { store, clock }: WorkOptions,
  firing: FiringRow,
  state: FiringState,
  reason: string,
): Promise<void> {
  await store.update(firing, { state, reason: reason.slice(0, 4000), ended_ms: clock() });
}
