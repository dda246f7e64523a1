import type { Selectable, Transaction } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import type { RolloutTables } from "../rollouts/store.ts";
import type { CountedKey, TrafficRange } from "./ledger.ts";
import { emptyTally, mergeTallies, type Tally } from "./tally.ts";

export interface LedgerTables {
  serving_tally: {
    instance: string;
    /** Where the minute begins; of sums, the hour. */
    window_ms: number;
    deployment: string;
    revision: number;
    variant: string;
    model_name: string;
    model_version: string;
    shadow: number;
    /** JSON. */
    tally: string;
  };
}

type Tables = LedgerTables & RolloutTables & { serving_state: { id: number; change_number: number } };

export interface Counted {
  readonly key: CountedKey;
  readonly tally: Tally;
}

export interface LedgerStore {
  /** Writes the whole tally of a minute as this instance knows it now, over what it wrote before. */
  write(key: CountedKey, tally: Tally): Promise<void>;
  read(deployment: string, range: TrafficRange): Promise<readonly Counted[]>;
  /** Makes one row of an hour of all its minutes, of all instances, where they began before a moment. */
  sumUp(beforeMs: number): Promise<void>;
  /** Leaves what was counted of the current step of an active rollout, whose gates go by all of it. */
  deleteBefore(windowMs: number): Promise<void>;
}

/** Stands where the name of an instance would. */
const summed = "hour";
const hourMs = 3_600_000;
const atATime = 500;

export function createLedgerStore(database: Database, instance: string): LedgerStore {
  const tables = database.tables<Tables>();
  return {
    write: (key, tally) => put(tables, instance, key, tally),
    async read(deployment, { fromMs, toMs, revisions }) {
      let query = tables.selectFrom("serving_tally").selectAll().where("deployment", "=", deployment);
      if (fromMs !== undefined) query = query.where("window_ms", ">=", fromMs);
      if (toMs !== undefined) query = query.where("window_ms", "<", toMs);
      if (revisions !== undefined) {
        query = query.where("revision", ">=", revisions.from).where("revision", "<=", revisions.to);
      }
      const rows = await query.orderBy("window_ms").execute();
      return rows.map(countedOf);
    },
    async sumUp(beforeMs) {
      for (let left = atATime; left === atATime; ) {
        left = await database.transaction<Tables, number>((trx) => sumSome(trx, beforeMs));
      }
    },
    async deleteBefore(windowMs) {
      await tables
        .deleteFrom("serving_tally")
        .where("window_ms", "<", windowMs)
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom("serving_rollout")
                .select("serving_rollout.id")
                .whereRef("serving_rollout.deployment", "=", "serving_tally.deployment")
                .whereRef("serving_rollout.revision", "=", "serving_tally.revision")
                .where("serving_rollout.ended_ms", "is", null),
            ),
          ),
        )
        .execute();
    },
  };
}

/** @returns how many minutes it took */
async function sumSome(trx: Transaction<Tables>, beforeMs: number): Promise<number> {
  // Held until the end: two instances must not add the same minutes to an hour.
  await trx
    .updateTable("serving_state")
    .set((row) => ({ change_number: row.ref("change_number") }))
    .where("id", "=", 1)
    .execute();
  const minutes = await trx
    .selectFrom("serving_tally")
    .selectAll()
    .where("window_ms", "<", beforeMs)
    .where("instance", "!=", summed)
    .orderBy("window_ms")
    .limit(atATime)
    .execute();
  const hours = new Map<string, Counted>();
  for (const row of minutes) {
    const { key, tally } = countedOf(row);
    const hour = { ...key, windowMs: Math.floor(key.windowMs / hourMs) * hourMs };
    const name = JSON.stringify(Object.values(hour));
    const known = hours.get(name)?.tally ?? (await find(trx, hour));
    hours.set(name, { key: hour, tally: known === undefined ? tally : mergeTallies(known, tally) });
    let gone = trx.deleteFrom("serving_tally");
    for (const column of keyColumns) gone = gone.where(column, "=", row[column]);
    await gone.execute();
  }
  for (const { key, tally } of hours.values()) await put(trx, summed, key, tally);
  return minutes.length;
}

async function find(trx: Transaction<Tables>, key: CountedKey): Promise<Tally | undefined> {
  const columns = columnsOf(summed, key);
  let query = trx.selectFrom("serving_tally").select("tally");
  for (const column of keyColumns) query = query.where(column, "=", columns[column]);
  const row = await query.executeTakeFirst();
  return row === undefined ? undefined : tallyOf(row.tally);
}

async function put(
  tables: Pick<Transaction<Tables>, "insertInto">,
  instance: string,
  key: CountedKey,
  counted: Tally,
): Promise<void> {
  const tally = JSON.stringify(counted);
  await tables
    .insertInto("serving_tally")
    .values({ ...columnsOf(instance, key), tally })
    .onConflict((conflict) => conflict.columns(keyColumns).doUpdateSet({ tally }))
    .execute();
}

const keyColumns = [
  "deployment",
  "revision",
  "window_ms",
  "variant",
  "model_name",
  "model_version",
  "shadow",
  "instance",
] as const;

function columnsOf(instance: string, key: CountedKey): Omit<LedgerTables["serving_tally"], "tally"> {
  return {
    instance,
    window_ms: key.windowMs,
    deployment: key.deployment,
    revision: key.revision,
    variant: key.variant,
    model_name: key.modelName,
    model_version: key.modelVersion,
    shadow: key.shadow ? 1 : 0,
  };
}

function countedOf(row: Selectable<LedgerTables["serving_tally"]>): Counted {
  return {
    key: {
      windowMs: row.window_ms,
      deployment: row.deployment,
      revision: row.revision,
      variant: row.variant,
      modelName: row.model_name,
      modelVersion: row.model_version,
      shadow: row.shadow === 1,
    },
    tally: tallyOf(row.tally),
  };
}

/** What was written before an entry of tallies existed lacks it. */
function tallyOf(json: string): Tally {
  return { ...emptyTally(), ...(JSON.parse(json) as Partial<Tally>) };
}
