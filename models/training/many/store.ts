import type { Selectable, Transaction } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import type { KeyResult } from "./keys.worker.ts";
import type { PlannedKey } from "./partition.worker.ts";

interface TaskTable {
  job_id: string;
  task: number;
  state: "queued" | "running" | "done" | "failed";
  owner: string | null;
  lease_until_ms: number | null;
  /** How often it was begun. */
  attempts: number;
  key_count: number;
  /** The prefix of the blobs with what it found. */
  result: string | null;
  error: string | null;
}

interface KeyTable {
  job_id: string;
  key_number: number;
  /** The JSON of a list of texts. */
  key_values: string;
  task: number | null;
  state: "queued" | "trained" | "fallback" | "failed";
  reason: string | null;
  train_rows: number;
  holdout_rows: number;
  mean_loss: number | null;
  baseline_loss: number | null;
  champion_loss: number | null;
  metrics: string | null;
}

interface Tables {
  training_task: TaskTable;
  training_key: KeyTable;
}

export type TaskRow = Selectable<TaskTable>;
export type KeyRow = Selectable<KeyTable>;
export type ManyStore = ReturnType<typeof createManyStore>;
export const keyOrders = ["key", "trainRows", "meanLoss", "gain"] as const;
export type KeyOrder = (typeof keyOrders)[number];

/** Rows written by one statement. */
const page = 500;
const maxAttempts = 3;

export function createManyStore(database: Database) {
  const tables = () => database.tables<Tables>();
  const owned = (trx: Transaction<Tables>, { job_id, task }: TaskRow, owner: string) =>
    trx
      .selectFrom("training_task")
      .select("task")
      .where("job_id", "=", job_id)
      .where("task", "=", task)
      .where("state", "=", "running")
      .where("owner", "=", owner)
      .executeTakeFirst();

  return {
    tasks: (jobId: string): Promise<TaskRow[]> =>
      tables().selectFrom("training_task").selectAll().where("job_id", "=", jobId).orderBy("task").execute(),

    /** Everything that the plan knows, at once: a training without tasks was not planned. */
    async plan(jobId: string, keys: readonly PlannedKey[], fewRows: string): Promise<void> {
      const counts = new Map<number, number>();
      for (const { task } of keys) if (task !== null) counts.set(task, (counts.get(task) ?? 0) + 1);
      await database.transaction<Tables, void>(async (trx) => {
        const first = await trx
          .selectFrom("training_task")
          .select("task")
          .where("job_id", "=", jobId)
          .executeTakeFirst();
        if (first !== undefined) return;
        await trx.deleteFrom("training_key").where("job_id", "=", jobId).execute();
        for (let start = 0; start < keys.length; start += page) {
          const rows = keys.slice(start, start + page).map(
            (key): KeyRow => ({
              job_id: jobId,
              key_number: key.key,
              key_values: JSON.stringify(key.values),
              task: key.task,
              state: key.task === null ? "fallback" : "queued",
              reason: key.task === null ? fewRows : null,
              train_rows: key.trainRows,
              holdout_rows: key.holdoutRows,
              mean_loss: null,
              baseline_loss: null,
              champion_loss: null,
              metrics: null,
            }),
          );
          await trx.insertInto("training_key").values(rows).execute();
        }
        for (const [task, count] of counts) {
          const row = { job_id: jobId, task, state: "queued", attempts: 0, key_count: count } as const;
          await trx
            .insertInto("training_task")
            .values({ ...row, owner: null, lease_until_ms: null, result: null, error: null })
            .execute();
        }
      });
    },

    /** The next task that nobody works on; undefined when there is none. One that was begun too often ends as failed. */
    async claim(jobId: string, owner: string, nowMs: number, leaseMs: number): Promise<TaskRow | undefined> {
      for (;;) {
        const free = await tables()
          .selectFrom("training_task")
          .selectAll()
          .where("job_id", "=", jobId)
          .where((where) =>
            where.or([
              where("state", "=", "queued"),
              where.and([where("state", "=", "running"), where("lease_until_ms", "<", nowMs)]),
            ]),
          )
          .orderBy("task")
          .limit(1)
          .executeTakeFirst();
        if (free === undefined) return undefined;
        const claimed = await tables()
          .updateTable("training_task")
          .set({ state: "running", owner, lease_until_ms: nowMs + leaseMs, attempts: free.attempts + 1 })
          .where("job_id", "=", jobId)
          .where("task", "=", free.task)
          .where("state", "=", free.state)
          .where("attempts", "=", free.attempts)
          .returningAll()
          .executeTakeFirst();
        if (claimed === undefined) continue;
        if (claimed.attempts <= maxAttempts) return claimed;
        await this.fail(
          claimed,
          owner,
          `Its task was begun ${maxAttempts} times and ended its process each time.`,
        );
      }
    },

    /** @returns false when it is another's by now */
    async extend({ job_id, task }: TaskRow, owner: string, untilMs: number): Promise<boolean> {
      const { numUpdatedRows } = await tables()
        .updateTable("training_task")
        .set({ lease_until_ms: untilMs })
        .where("job_id", "=", job_id)
        .where("task", "=", task)
        .where("state", "=", "running")
        .where("owner", "=", owner)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    /** Back to the others, as if it had not been begun. */
    async giveBack({ job_id, task, attempts }: TaskRow, owner: string): Promise<void> {
      await tables()
        .updateTable("training_task")
        .set({ state: "queued", owner: null, lease_until_ms: null, attempts: attempts - 1 })
        .where("job_id", "=", job_id)
        .where("task", "=", task)
        .where("state", "=", "running")
        .where("owner", "=", owner)
        .execute();
    },

    /** The end of a task, with that of each of its keys. @returns false when another has it by now */
    async finish(task: TaskRow, owner: string, result: string, keys: readonly KeyResult[]): Promise<boolean> {
      return database.transaction<Tables, boolean>(async (trx) => {
        const of = { job_id: task.job_id, task: task.task };
        if ((await owned(trx, task, owner)) === undefined) return false;
        for (const key of keys) {
          await trx
            .updateTable("training_key")
            .set(
              key.state === "trained"
                ? {
                    state: key.state,
                    reason: null,
                    mean_loss: key.loss / key.holdoutRows,
                    baseline_loss: key.baselineLoss / key.holdoutRows,
                    champion_loss: key.championLoss === null ? null : key.championLoss / key.holdoutRows,
                    metrics: JSON.stringify(key.metrics),
                  }
                : { state: key.state, reason: key.reason },
            )
            .where("job_id", "=", of.job_id)
            .where("key_number", "=", key.key)
            .execute();
        }
        await trx
          .updateTable("training_task")
          .set({ state: "done", result, owner: null, lease_until_ms: null, error: null })
          .where("job_id", "=", of.job_id)
          .where("task", "=", of.task)
          .execute();
        return true;
      });
    },

    async fail(task: TaskRow, owner: string, reason: string): Promise<void> {
      await database.transaction<Tables, void>(async (trx) => {
        if ((await owned(trx, task, owner)) === undefined) return;
        await trx
          .updateTable("training_task")
          .set({ state: "failed", error: reason, owner: null, lease_until_ms: null })
          .where("job_id", "=", task.job_id)
          .where("task", "=", task.task)
          .execute();
        await trx
          .updateTable("training_key")
          .set({ state: "failed", reason })
          .where("job_id", "=", task.job_id)
          .where("task", "=", task.task)
          .where("state", "=", "queued")
          .execute();
      });
    },

    /** Keys in an order, after a position in it. */
    keys(
      jobId: string,
      {
        state,
        order,
        descending,
        offset,
        limit,
      }: {
        readonly state: KeyRow["state"] | undefined;
        readonly order: KeyOrder;
        readonly descending: boolean;
        readonly offset: number;
        readonly limit: number;
      },
    ): Promise<KeyRow[]> {
      const direction = descending ? "desc" : "asc";
      let query = tables().selectFrom("training_key").selectAll().where("job_id", "=", jobId);
      if (state !== undefined) query = query.where("state", "=", state);
      const expressions = {
        key: "key_number",
        trainRows: "train_rows",
        meanLoss: "mean_loss",
        gain: "gain",
      } as const;
      const sorted =
        order === "gain"
          ? query.orderBy(
              (sort) => sort("baseline_loss", "-", sort.ref("mean_loss")),
              (by) => (descending ? by.desc() : by.asc()).nullsLast(),
            )
          : query.orderBy(expressions[order] as "train_rows", (by) =>
              (descending ? by.desc() : by.asc()).nullsLast(),
            );
      return sorted.orderBy("key_number", direction).offset(offset).limit(limit).execute();
    },

    async counts(jobId: string): Promise<Record<KeyRow["state"], number>> {
      const counts = { queued: 0, trained: 0, fallback: 0, failed: 0 };
      const found = await tables()
        .selectFrom("training_key")
        .select(["state", (select) => select.fn.countAll<number>().as("count")])
        .where("job_id", "=", jobId)
        .groupBy("state")
        .execute();
      for (const { state, count } of found) counts[state] = Number(count);
      return counts;
    },

    async failedKeys(jobId: string): Promise<Pick<KeyRow, "key_number" | "task">[]> {
      return tables()
        .selectFrom("training_key")
        .select(["key_number", "task"])
        .where("job_id", "=", jobId)
        .where("state", "=", "failed")
        .orderBy("key_number")
        .execute();
    },
  };
}
