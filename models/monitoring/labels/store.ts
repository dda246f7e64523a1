import { sql } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import type { LabelInput } from "../schemas.ts";
import type { LabelTask } from "./label.worker.ts";

interface LabelTable {
  request_id: string;
  row_index: number;
  /** As JSON. */
  value: string;
  observed_ms: number;
  received_ms: number;
}

interface Tables {
  monitoring_label: LabelTable;
}

/** The most labels that one run looks at; later ones win. */
const mostLabels = 200_000;

export type LabelStore = ReturnType<typeof createLabelStore>;

/** What was observed later about the rows of predictions. */
export function createLabelStore(database: Database) {
  return {
    /** Stores labels; one for the same row replaces the one before. @returns how many are new or differ. */
    upsert: (labels: readonly LabelInput[], nowMs: number) =>
      database.transaction<Tables, number>(async (trx) => {
        let stored = 0;
        for (const label of labels) {
          const value = JSON.stringify(label.value);
          const observedMs =
            typeof label.observedAt === "number" ? label.observedAt : Date.parse(label.observedAt);
          const row = {
            request_id: label.requestId,
            row_index: label.rowIndex,
            value,
            observed_ms: observedMs,
            received_ms: nowMs,
          };
          const known = await trx
            .selectFrom("monitoring_label")
            .select(["value", "observed_ms"])
            .where("request_id", "=", row.request_id)
            .where("row_index", "=", row.row_index)
            .executeTakeFirst();
          if (known?.value === value && known.observed_ms === observedMs) continue;
          await trx
            .insertInto("monitoring_label")
            .values(row)
            .onConflict((conflict) => conflict.columns(["request_id", "row_index"]).doUpdateSet(row))
            .execute();
          stored++;
        }
        return stored;
      }),

    /**
     * Removes up to `limit` labels of predictions that were made before a time: nothing is observed of a prediction, nor
     * told about it, before it was made. @returns how many it was.
     */
    async deleteBefore(beforeMs: number, limit: number): Promise<number> {
      const { numAffectedRows = 0n } = await sql`
        delete from monitoring_label where (request_id, row_index) in (
          select request_id, row_index from monitoring_label
          where observed_ms < ${beforeMs} or received_ms < ${beforeMs} limit ${limit})`.execute(
        database.tables<Tables>(),
      );
      return Number(numAffectedRows);
    },

    /** Nothing is observed of a prediction before it was made. */
    observedSince: async (fromMs: number): Promise<LabelTask["labels"]> => {
      const rows = await database
        .tables<Tables>()
        .selectFrom("monitoring_label")
        .selectAll()
        .where("observed_ms", ">=", fromMs)
        .orderBy("observed_ms", "desc")
        .orderBy("request_id")
        .orderBy("row_index")
        .limit(mostLabels)
        .execute();
      return rows.map((row) => ({
        requestId: row.request_id,
        rowIndex: row.row_index,
        value: JSON.parse(row.value),
        observedMs: row.observed_ms,
      }));
    },
  };
}
