import type { Transaction } from "kysely";
import type { Database } from "../../shared/database/index.ts";
import type { DatasetTables, VersionRow } from "./tables.ts";

export type DeletionStore = ReturnType<typeof createDeletionStore>;

/**
 * The SQL of deletions. Rows go first, in one transaction with a row of garbage for each blob that they named: nobody
 * ever reads a row whose blob is gone, and whoever comes next, after a crash, finds what is still to be deleted.
 */
export function createDeletionStore(database: Database) {
  const tables = () => database.tables<DatasetTables>();
  return {
    /** @returns the version as it was; undefined when it is gone, or is not the one that was looked at any more. */
    deleteVersion: (row: VersionRow, nowMs: number): Promise<VersionRow | undefined> =>
      database.transaction<DatasetTables, VersionRow | undefined>(async (trx) => {
        const deleted = await trx
          .deleteFrom("dataset_version")
          .where("dataset", "=", row.dataset)
          .where("version", "=", row.version)
          .where("blob_key", "=", row.blob_key)
          .returningAll()
          .executeTakeFirst();
        if (deleted !== undefined) await condemn(trx, keysOf(deleted), nowMs);
        return deleted;
      }),

    /** Deletes a data set with its versions and its open uploads. @returns how many versions it had; undefined without it. */
    deleteDataset: (name: string, nowMs: number): Promise<number | undefined> =>
      database.transaction<DatasetTables, number | undefined>(async (trx) => {
        // Whoever adds a version writes to this row first, and waits.
        const { numUpdatedRows } = await trx
          .updateTable("dataset")
          .set({ updated_ms: nowMs })
          .where("name", "=", name)
          .executeTakeFirst();
        if (numUpdatedRows === 0n) return undefined;
        const versions = await trx
          .deleteFrom("dataset_version")
          .where("dataset", "=", name)
          .returning(["blob_key", "rows_key", "profile_key"])
          .execute();
        const uploads = await trx
          .deleteFrom("dataset_upload")
          .where("dataset", "=", name)
          .returning("blob_key")
          .execute();
        await trx.deleteFrom("dataset").where("name", "=", name).execute();
        const keys = [...versions.flatMap(keysOf), ...uploads.map((upload) => upload.blob_key)];
        await condemn(trx, keys, nowMs);
        return versions.length;
      }),

    listGarbage: (limit: number) =>
      tables()
        .selectFrom("dataset_garbage")
        .select("blob_key as key")
        .orderBy("condemned_ms")
        .orderBy("blob_key")
        .limit(limit)
        .execute(),

    async forgetGarbage(keys: readonly string[]): Promise<void> {
      if (keys.length === 0) return;
      await tables().deleteFrom("dataset_garbage").where("blob_key", "in", keys).execute();
    },

    /** The blobs that these versions of a data set name. */
    async namedKeys(dataset: string, versions: readonly string[]): Promise<ReadonlySet<string>> {
      const rows = await tables()
        .selectFrom("dataset_version")
        .select(["blob_key", "rows_key", "profile_key"])
        .where("dataset", "=", dataset)
        .where("version", "in", versions)
        .execute();
      return new Set(rows.flatMap(keysOf));
    },
  };
}

export function keysOf(row: Pick<VersionRow, "blob_key" | "rows_key" | "profile_key">): string[] {
  return [...new Set([row.blob_key, row.rows_key, row.profile_key])].filter((key) => key !== null);
}

/** Writes down that these blobs are to be deleted. Nothing may name them, now or later. */
export async function condemn(
  trx: Transaction<DatasetTables>,
  keys: readonly string[],
  nowMs: number,
): Promise<void> {
  const rows = keys.map((key) => ({ blob_key: key, condemned_ms: nowMs }));
  for (let start = 0; start < rows.length; start += 1000) {
    await trx
      .insertInto("dataset_garbage")
      .values(rows.slice(start, start + 1000))
      .onConflict((conflict) => conflict.column("blob_key").doNothing())
      .execute();
  }
}
