import { sql } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import type { LabelInput } from "../schemas.ts";

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

/** What was observed of one row of a prediction. */
export interface Label {
  readonly value: number | string | boolean;
  readonly observedMs: number;
}

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

    /** Whether anybody ever sent one that is still kept. */
    any: async (): Promise<boolean> => {
      const one = await database
        .tables<Tables>()
        .selectFrom("monitoring_label")
        .select("request_id")
        .limit(1)
        .executeTakeFirst();
      return one !== undefined;
    },

    /** The labels of some hundred requests, by request and row. */
    ofRequests: async (
      requestIds: readonly string[],
    ): Promise<ReadonlyMap<string, ReadonlyMap<number, Label>>> => {
      const rows = await database
        .tables<Tables>()
        .selectFrom("monitoring_label")
        .selectAll()
        .where("request_id", "in", [...requestIds])
        .execute();
      const byRequest = new Map<string, Map<number, Label>>();
      for (const row of rows) {
        const ofRows = byRequest.get(row.request_id) ?? new Map<number, Label>();
        byRequest.set(row.request_id, ofRows);
        ofRows.set(row.row_index, { value: JSON.parse(row.value), observedMs: row.observed_ms });
      }
      return byRequest;
    },
  };
}
