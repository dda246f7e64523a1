import { randomUUID } from "node:crypto";
import type { Clock } from "../../../shared/clock.ts";
import { conflict, notFound, preconditionFailed } from "../../../shared/errors.ts";
import type { Actor, AuditLog } from "../../../shared/identity/index.ts";
import type { Datasets } from "../../datasets/index.ts";
import { type Cause, type Firing, type FiringState, type Schedule, ScheduleSpec } from "./schemas.ts";
import type { FiringRow, ScheduleRow, ScheduleStore } from "./store.ts";
import { checkTimetable, jitterMs, nextDue } from "./times.ts";

export interface ScheduleChange {
  readonly actor: Actor;
  readonly reason?: string | undefined;
  /** The revision that the change was made for; without it the change is applied to whatever is current. */
  readonly expectedRevision?: number | undefined;
}

/** A rollout as others tell of it. */
export interface RolloutStatus {
  readonly id: string;
  readonly state: string;
  readonly stateReason: string;
}

export interface SchedulesOptions {
  readonly store: ScheduleStore;
  readonly datasets: Pick<Datasets, "newestVersion">;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly rollout: (deployment: string, id: string) => Promise<RolloutStatus | null>;
  /** @throws invalid for a plan that could not be followed */
  readonly checkRolloutPlan: (plan: Readonly<Record<string, unknown>>) => void;
}

/** Named schedules: what is trained again and again, when, and what follows. */
export interface Schedules {
  /** @throws invalid for a timetable that makes no sense; precondition_failed for a revision that is not current */
  put(name: string, spec: ScheduleSpec, change: ScheduleChange): Promise<Schedule>;
  /** @throws not_found */
  get(name: string): Promise<Schedule>;
  list(after: string, limit: number): Promise<readonly Schedule[]>;
  /** Firings that run go on; its history stays. */
  remove(name: string, change: ScheduleChange): Promise<void>;
  pause(name: string, paused: boolean, change: ScheduleChange): Promise<Schedule>;
  /** Fires now, whatever its timetable says, paused or not. */
  run(name: string, actor: Actor, reason: string): Promise<Firing>;
  firing(name: string, id: string): Promise<Firing>;
  /** Newest first; of a schedule that was removed too. */
  firings(
    name: string,
    state: FiringState | undefined,
    before: { readonly firedMs: number; readonly id: string } | undefined,
    limit: number,
  ): Promise<readonly Firing[]>;
}

export function createSchedules({
  store,
  datasets,
  audit,
  clock,
  rollout,
  checkRolloutPlan,
}: SchedulesOptions): Schedules {
  const find = async (name: string): Promise<ScheduleRow> => {
    const row = await store.get(name);
    if (row === undefined) throw notFound(`There is no schedule "${name}".`);
    return row;
  };

  const write = async (
    name: string,
    before: ScheduleRow | undefined,
    spec: ScheduleSpec,
    { actor, reason, expectedRevision }: ScheduleChange,
  ): Promise<Schedule> => {
    const revision = before?.revision ?? 0;
    if (expectedRevision !== undefined && expectedRevision !== revision) {
      throw preconditionFailed(
        `The schedule "${name}" is at revision ${revision}, not at ${expectedRevision}; read it again.`,
      );
    }
    const nowMs = clock();
    if (spec.cron !== null) checkTimetable({ cron: spec.cron, timeZone: spec.timeZone }, nowMs);
    if (spec.rollout !== null) checkRolloutPlan(spec.rollout.plan);
    const row = {
      name,
      revision: revision + 1,
      spec: JSON.stringify(spec),
      author: JSON.stringify(actor),
      created_ms: before?.created_ms ?? nowMs,
      updated_ms: nowMs,
      ...nextOf(name, spec, nowMs),
      // What is there already starts nothing; what comes from now on does.
      seen_version:
        before?.seen_version ?? (await datasets.newestVersion(spec.training.dataset))?.version ?? null,
    };
    if (!(await store.write(row))) {
      throw preconditionFailed(`Somebody else changed the schedule "${name}" just now; read it again.`);
    }
    await audit.record({
      actor,
      action: before === undefined ? "schedule.create" : "schedule.change",
      subject: `schedule/${name}`,
      ...(before === undefined ? {} : { before: JSON.parse(before.spec) }),
      after: spec,
      ...(reason === undefined ? {} : { reason }),
    });
    return scheduleOf({ ...row, active_firing: before?.active_firing ?? null });
  };

  const shown = async (row: FiringRow): Promise<Firing> => {
    const { deployment, rollout_id: id } = row;
    const status = deployment === null || id === null ? null : await rollout(deployment, id);
    return firingOf(row, deployment === null || status === null ? null : { deployment, ...status });
  };

  return {
    async put(name, spec, change) {
      return write(name, await store.get(name), spec, change);
    },
    get: async (name) => scheduleOf(await find(name)),
    list: async (after, limit) => (await store.list(after, limit)).map(scheduleOf),

    async remove(name, { actor, reason, expectedRevision }) {
      const row = await find(name);
      if (expectedRevision !== undefined && expectedRevision !== row.revision) {
        throw preconditionFailed(`The schedule "${name}" is at revision ${row.revision}; read it again.`);
      }
      await store.remove(name);
      await audit.record({
        actor,
        action: "schedule.delete",
        subject: `schedule/${name}`,
        before: JSON.parse(row.spec),
        ...(reason === undefined ? {} : { reason }),
      });
    },

    async pause(name, paused, change) {
      const row = await find(name);
      const spec = specOf(row);
      if (spec.paused === paused) {
        throw conflict(`The schedule "${name}" is ${paused ? "paused" : "not paused"} already.`);
      }
      return write(name, row, { ...spec, paused }, change);
    },

    async run(name, actor, reason) {
      const row = await find(name);
      const id = randomUUID();
      const cause: Cause = { kind: "person", by: { id: actor.id, name: actor.name }, reason };
      const firing = await store.add(newFiring(row, cause, id, clock(), id));
      await audit.record({ actor, action: "schedule.run", subject: `schedule/${name}`, reason });
      return shown(firing);
    },

    async firing(name, id) {
      const row = await store.firing(id);
      if (row === undefined || row.schedule !== name) {
        throw notFound(`The schedule "${name}" has no firing "${id}".`);
      }
      return shown(row);
    },

    async firings(name, state, before, limit) {
      const rows = await store.firings(name, state, before, limit);
      if (rows.length === 0) await find(name);
      return Promise.all(rows.map(shown));
    },
  };
}

export function specOf(row: Pick<ScheduleRow, "spec">): ScheduleSpec {
  return ScheduleSpec.parse(JSON.parse(row.spec));
}

/** When a schedule is due and fires next, after a moment. */
export function nextOf(
  name: string,
  { cron, timeZone, paused, jitterSeconds }: ScheduleSpec,
  afterMs: number,
): Pick<ScheduleRow, "next_due_ms" | "next_fire_ms"> {
  const due = cron === null || paused ? null : nextDue({ cron, timeZone }, afterMs);
  return {
    next_due_ms: due,
    next_fire_ms: due === null ? null : due + jitterMs(name, due, jitterSeconds * 1000),
  };
}

/** @param key the same cause of a schedule fires once */
export function newFiring(
  { name, revision }: Pick<ScheduleRow, "name" | "revision">,
  cause: Cause,
  key: string,
  firedMs: number,
  id: string = randomUUID(),
) {
  return {
    id,
    schedule: name,
    schedule_revision: revision,
    cause: JSON.stringify(cause),
    cause_key: `${cause.kind}:${key}`,
    fired_ms: firedMs,
  };
}

function scheduleOf(row: ScheduleRow): Schedule {
  const { id, name } = JSON.parse(row.author) as Actor;
  return {
    name: row.name,
    revision: row.revision,
    spec: specOf(row),
    nextDueMs: row.next_due_ms,
    runningFiring: row.active_firing,
    createdMs: row.created_ms,
    updatedMs: row.updated_ms,
    updatedBy: { id, name },
  };
}

function firingOf(row: FiringRow, rollout: Firing["rollout"]): Firing {
  return {
    id: row.id,
    schedule: row.schedule,
    scheduleRevision: row.schedule_revision,
    state: row.state,
    cause: JSON.parse(row.cause),
    reason: row.reason,
    dataVersion: row.data_version,
    trainingId: row.training_id,
    runId: row.run_id,
    model:
      row.model === null || row.model_version === null
        ? null
        : { name: row.model, version: row.model_version },
    promoted: row.promoted === null ? null : row.promoted === 1,
    verdict: row.verdict,
    rollout,
    firedMs: row.fired_ms,
    endedMs: row.ended_ms,
  };
}
