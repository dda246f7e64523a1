import type { Selectable, Transaction } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import type { FiringState } from "./schemas.ts";

interface ScheduleTable {
  name: string;
  revision: number;
  /** ScheduleSpec as JSON. */
  spec: string;
  /** Actor as JSON: who changed it last, with whose rights it acts. */
  author: string;
  created_ms: number;
  updated_ms: number;
  /** The next time by the timetable, and when it fires for it; null when there is none, or while it is paused. */
  next_due_ms: number | null;
  next_fire_ms: number | null;
  /** The newest version of the data set that was looked at. */
  seen_version: string | null;
  /** The one firing that may train now. */
  active_firing: string | null;
}

interface FiringTable {
  id: string;
  schedule: string;
  schedule_revision: number;
  state: FiringState;
  /** Cause as JSON. */
  cause: string;
  /** The same cause fires once. */
  cause_key: string;
  reason: string | null;
  data_version: string | null;
  training_id: string | null;
  run_id: string | null;
  model: string | null;
  model_version: number | null;
  promoted: number | null;
  verdict: string | null;
  deployment: string | null;
  rollout_id: string | null;
  fired_ms: number;
  ended_ms: number | null;
}

interface Tables {
  training_schedule: ScheduleTable;
  training_firing: FiringTable;
}

export type ScheduleRow = Selectable<ScheduleTable>;
export type FiringRow = Selectable<FiringTable>;
export type ScheduleStore = ReturnType<typeof createScheduleStore>;

/** What a firing is when it begins. */
export type NewFiring = Pick<
  FiringRow,
  "id" | "schedule" | "schedule_revision" | "cause" | "cause_key" | "fired_ms"
> &
  Partial<Pick<FiringRow, "state" | "reason" | "data_version" | "ended_ms">>;

/** Schedules and the history of their firings. */
export function createScheduleStore(database: Database) {
  const tables = () => database.tables<Tables>();
  return {
    get: (name: string) =>
      tables().selectFrom("training_schedule").selectAll().where("name", "=", name).executeTakeFirst(),

    list: (after: string, limit: number) =>
      tables()
        .selectFrom("training_schedule")
        .selectAll()
        .where("name", ">", after)
        .orderBy("name")
        .limit(limit)
        .execute(),

    /** @returns whether it was the next revision */
    write: (row: Omit<ScheduleRow, "seen_version" | "active_firing"> & Pick<ScheduleRow, "seen_version">) =>
      database.transaction<Tables, boolean>(async (trx) => {
        if (row.revision === 1) {
          const { numInsertedOrUpdatedRows } = await trx
            .insertInto("training_schedule")
            .values({ ...row, active_firing: null })
            .onConflict((conflict) => conflict.column("name").doNothing())
            .executeTakeFirst();
          return (numInsertedOrUpdatedRows ?? 0n) > 0n;
        }
        const { created_ms: _, ...changes } = row;
        const { numUpdatedRows } = await trx
          .updateTable("training_schedule")
          .set(changes)
          .where("name", "=", row.name)
          .where("revision", "=", row.revision - 1)
          .executeTakeFirst();
        return numUpdatedRows > 0n;
      }),

    remove: async (name: string) => {
      await tables().deleteFrom("training_schedule").where("name", "=", name).execute();
    },

    /** Those that fire by now, by their timetables. */
    due: (nowMs: number, limit: number) =>
      tables()
        .selectFrom("training_schedule")
        .selectAll()
        .where("next_fire_ms", "<=", nowMs)
        .orderBy("next_fire_ms")
        .limit(limit)
        .execute(),

    /**
     * Moves a timetable on and writes the firings that follow, once however many instances do it.
     *
     * @returns whether it was this one
     */
    fire: (
      { name, revision, next_due_ms }: Pick<ScheduleRow, "name" | "revision" | "next_due_ms">,
      next: Pick<ScheduleRow, "next_due_ms" | "next_fire_ms">,
      firings: readonly NewFiring[],
    ) =>
      database.transaction<Tables, boolean>(async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable("training_schedule")
          .set(next)
          .where("name", "=", name)
          .where("revision", "=", revision)
          .where("next_due_ms", next_due_ms === null ? "is" : "=", next_due_ms)
          .executeTakeFirst();
        if (numUpdatedRows === 0n) return false;
        for (const firing of firings) await insert(trx, firing);
        return true;
      }),

    /** @returns the firing of this cause, which may be there already */
    add: (firing: NewFiring) =>
      database.transaction<Tables, FiringRow>(async (trx) => {
        await insert(trx, firing);
        return trx
          .selectFrom("training_firing")
          .selectAll()
          .where("schedule", "=", firing.schedule)
          .where("cause_key", "=", firing.cause_key)
          .executeTakeFirstOrThrow();
      }),

    seen: async (name: string, version: string) => {
      await tables()
        .updateTable("training_schedule")
        .set({ seen_version: version })
        .where("name", "=", name)
        .execute();
    },

    /** Takes the one place of a schedule for a firing. @returns whether it has it */
    claim: async (schedule: string, firing: string, instead: string | null): Promise<boolean> => {
      const { numUpdatedRows } = await tables()
        .updateTable("training_schedule")
        .set({ active_firing: firing })
        .where("name", "=", schedule)
        .where("active_firing", instead === null ? "is" : "=", instead)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    firing: (id: string) =>
      tables().selectFrom("training_firing").selectAll().where("id", "=", id).executeTakeFirst(),

    /** Newest first. */
    firings: (
      schedule: string,
      state: FiringState | undefined,
      before: { readonly firedMs: number; readonly id: string } | undefined,
      limit: number,
    ) => {
      let query = tables().selectFrom("training_firing").selectAll().where("schedule", "=", schedule);
      if (state !== undefined) query = query.where("state", "=", state);
      if (before !== undefined) {
        query = query.where((where) =>
          where.or([
            where("fired_ms", "<", before.firedMs),
            where.and([where("fired_ms", "=", before.firedMs), where("id", "<", before.id)]),
          ]),
        );
      }
      return query.orderBy("fired_ms", "desc").orderBy("id", "desc").limit(limit).execute();
    },

    /** Firings that have not ended, the oldest first. */
    open: (after: { readonly firedMs: number; readonly id: string } | undefined, limit: number) => {
      let query = tables().selectFrom("training_firing").selectAll().where("ended_ms", "is", null);
      if (after !== undefined) {
        query = query.where((where) =>
          where.or([
            where("fired_ms", ">", after.firedMs),
            where.and([where("fired_ms", "=", after.firedMs), where("id", ">", after.id)]),
          ]),
        );
      }
      return query.orderBy("fired_ms").orderBy("id").limit(limit).execute();
    },

    /** The newest firing that trained on something. */
    lastTrained: (schedule: string) =>
      tables()
        .selectFrom("training_firing")
        .selectAll()
        .where("schedule", "=", schedule)
        .where("data_version", "is not", null)
        .where("training_id", "is not", null)
        .where("state", "in", ["running", "rolling_out", "succeeded"])
        .orderBy("fired_ms", "desc")
        .limit(1)
        .executeTakeFirst(),

    /** Changes a firing that has not ended; one that ends gives its place free. @returns whether it was still open */
    update: (
      { id, schedule }: Pick<FiringRow, "id" | "schedule">,
      changes: Partial<Omit<FiringRow, "id" | "schedule" | "cause" | "cause_key">>,
    ) =>
      database.transaction<Tables, boolean>(async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable("training_firing")
          .set(changes)
          .where("id", "=", id)
          .where("ended_ms", "is", null)
          .executeTakeFirst();
        if (numUpdatedRows === 0n) return false;
        if (changes.ended_ms === undefined || changes.ended_ms === null) return true;
        await trx
          .updateTable("training_schedule")
          .set({ active_firing: null })
          .where("name", "=", schedule)
          .where("active_firing", "=", id)
          .execute();
        return true;
      }),
  };
}

async function insert(trx: Transaction<Tables>, firing: NewFiring): Promise<void> {
  await trx
    .insertInto("training_firing")
    .values({
      state: "waiting",
      reason: null,
      data_version: null,
      training_id: null,
      run_id: null,
      model: null,
      model_version: null,
      promoted: null,
      verdict: null,
      deployment: null,
      rollout_id: null,
      ended_ms: null,
      ...firing,
    })
    .onConflict((conflict) => conflict.columns(["schedule", "cause_key"]).doNothing())
    .execute();
}
