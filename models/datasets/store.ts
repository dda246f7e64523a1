import type { Selectable, Transaction } from "kysely";
import type { Database } from "../../shared/database/index.ts";
import { notFound } from "../../shared/errors.ts";
import { condemn, keysOf } from "./deletion-store.ts";
import type { Dataset, DatasetVersion, Format, ReadOptions, VersionState } from "./schemas.ts";
import type { DatasetTable, DatasetTables, UploadRow, VersionRow } from "./tables.ts";

export interface NewVersionRow {
  readonly dataset: string;
  readonly version: string;
  readonly format: Format;
  readonly options: ReadOptions;
  readonly sizeBytes: number;
  readonly blobKey: string;
  readonly createdBy: string;
  readonly nowMs: number;
}

/** What the profile found; written once, with the state. */
export type VersionFindings = Partial<
  Pick<
    VersionRow,
    "state" | "error" | "rows_key" | "profile_key" | "row_count" | "columns" | "checks" | "notes" | "findings"
  >
>;

export type DatasetStore = ReturnType<typeof createDatasetStore>;

export function createDatasetStore(database: Database) {
  const tables = () => database.tables<DatasetTables>();
  return {
    getDataset: (name: string) =>
      tables().selectFrom("dataset").selectAll().where("name", "=", name).executeTakeFirst(),

    listDatasets(after: string | undefined, limit: number) {
      let query = tables().selectFrom("dataset").selectAll().orderBy("name").limit(limit);
      if (after !== undefined) query = query.where("name", ">", after);
      return query.execute();
    },

    /** @returns whether it was new. */
    async insertDataset(row: Omit<DatasetTable, "last_number">): Promise<boolean> {
      const result = await tables()
        .insertInto("dataset")
        .values({ ...row, last_number: 0 })
        .onConflict((conflict) => conflict.column("name").doNothing())
        .executeTakeFirst();
      return Number(result.numInsertedOrUpdatedRows ?? 0) > 0;
    },

    /** @returns whether it still had the revision before. */
    async updateDataset(row: DatasetTable): Promise<boolean> {
      const { name, description, expectations, revision, updated_ms } = row;
      const result = await tables()
        .updateTable("dataset")
        .set({ description, expectations, revision, updated_ms })
        .where("name", "=", name)
        .where("revision", "=", revision - 1)
        .executeTakeFirst();
      return Number(result.numUpdatedRows) > 0;
    },

    /**
     * Adds the version under the next number, or gives back the one that has this content already.
     *
     * @throws notFound when the data set was deleted
     */
    insertVersion: (version: NewVersionRow): Promise<VersionRow> =>
      database.transaction<DatasetTables, VersionRow>(async (trx) => {
        const found = () =>
          trx
            .selectFrom("dataset_version")
            .selectAll()
            .where("dataset", "=", version.dataset)
            .where("version", "=", version.version)
            .executeTakeFirst();
        // Writing to the data set's row first makes others who number a version wait for this transaction.
        const dataset = await trx
          .updateTable("dataset")
          .set({ updated_ms: version.nowMs })
          .where("name", "=", version.dataset)
          .returning("last_number")
          .executeTakeFirst();
        if (dataset === undefined) throw notFound(`There is no data set "${version.dataset}".`);
        const existing = await found();
        if (existing !== undefined) return existing;
        const { highest } = await trx
          .selectFrom("dataset_version")
          .select((select) => select.fn.max("number").as("highest"))
          .where("dataset", "=", version.dataset)
          .executeTakeFirstOrThrow();
        const row: VersionRow = {
          dataset: version.dataset,
          version: version.version,
          number: Math.max(Number(highest ?? 0), dataset.last_number) + 1,
          state: "pending",
          error: null,
          format: version.format,
          options: JSON.stringify(version.options),
          size_bytes: version.sizeBytes,
          blob_key: version.blobKey,
          rows_key: null,
          profile_key: null,
          row_count: null,
          columns: "[]",
          checks: "[]",
          notes: "[]",
          findings: null,
          job_id: null,
          created_by: version.createdBy,
          created_ms: version.nowMs,
        };
        await trx.insertInto("dataset_version").values(row).execute();
        await trx
          .updateTable("dataset")
          .set({ last_number: row.number })
          .where("name", "=", row.dataset)
          .execute();
        return row;
      }),

    /**
     * Makes a version that could not be used pending again, to be read in another way perhaps, from a blob of its own.
     *
     * @returns whether it was; not when it is of use, was opened by somebody else first, or is gone
     */
    reopenVersion: (
      row: VersionRow,
      reading: Pick<NewVersionRow, "format" | "options" | "blobKey" | "nowMs">,
    ): Promise<boolean> =>
      database.transaction<DatasetTables, boolean>(async (trx) => {
        const reopened = await trx
          .updateTable("dataset_version")
          .set({
            state: "pending",
            error: null,
            format: reading.format,
            options: JSON.stringify(reading.options),
            blob_key: reading.blobKey,
            rows_key: null,
            profile_key: null,
            job_id: null,
          })
          .where("dataset", "=", row.dataset)
          .where("version", "=", row.version)
          .where("blob_key", "=", row.blob_key)
          .where("state", "in", ["failed", "rejected"])
          .executeTakeFirst();
        if (reopened.numUpdatedRows === 0n) return false;
        await condemn(trx, keysOf(row), reading.nowMs);
        return true;
      }),

    /** @returns `again` when it was ready already; `gone` when it is, or has become another one of the same content. */
    async recordFindings(row: VersionRow, findings: VersionFindings): Promise<"first" | "again" | "gone"> {
      const written = async (ready: "=" | "!=") => {
        const { numUpdatedRows } = await tables()
          .updateTable("dataset_version")
          .set(findings)
          .where("dataset", "=", row.dataset)
          .where("version", "=", row.version)
          .where("blob_key", "=", row.blob_key)
          .where("state", ready, "ready")
          .executeTakeFirst();
        return numUpdatedRows > 0n;
      };
      if (await written("!=")) return "first";
      return (await written("=")) ? "again" : "gone";
    },

    async setJob(
      dataset: string,
      version: string,
      jobId: string,
      transaction?: Transaction<unknown>,
    ): Promise<void> {
      const handle = (transaction as unknown as Transaction<DatasetTables> | undefined) ?? tables();
      await handle
        .updateTable("dataset_version")
        .set({ job_id: jobId })
        .where("dataset", "=", dataset)
        .where("version", "=", version)
        .execute();
    },

    /** Pending versions from before a moment that no job will read. */
    withoutJob: (beforeMs: number, limit: number) =>
      tables()
        .selectFrom("dataset_version")
        .selectAll()
        .where("state", "=", "pending")
        .where("job_id", "is", null)
        .where("created_ms", "<", beforeMs)
        .orderBy("created_ms")
        .limit(limit)
        .execute(),

    getVersionOfJob: (dataset: string, jobId: string) =>
      tables()
        .selectFrom("dataset_version")
        .selectAll()
        .where("dataset", "=", dataset)
        .where("job_id", "=", jobId)
        .executeTakeFirst(),

    /** Of these jobs those that no version names. */
    async unnamedJobs(ids: readonly string[]): Promise<string[]> {
      const rows = await tables()
        .selectFrom("dataset_version")
        .select("job_id")
        .where("job_id", "in", ids)
        .execute();
      const named = new Set(rows.map((row) => row.job_id));
      return ids.filter((id) => !named.has(id));
    },

    getVersion: (dataset: string, version: string) =>
      tables()
        .selectFrom("dataset_version")
        .selectAll()
        .where("dataset", "=", dataset)
        .where("version", "=", version)
        .executeTakeFirst(),

    /** Two at most: enough to know whether the prefix is unique. */
    getVersionsByPrefix: (dataset: string, prefix: string) =>
      tables()
        .selectFrom("dataset_version")
        .selectAll()
        .where("dataset", "=", dataset)
        .where("version", ">=", prefix)
        .where("version", "<", `${prefix}g`)
        .orderBy("version")
        .limit(2)
        .execute(),

    getLatestReady: (dataset: string) =>
      tables()
        .selectFrom("dataset_version")
        .selectAll()
        .where("dataset", "=", dataset)
        .where("state", "=", "ready")
        .orderBy("number", "desc")
        .limit(1)
        .executeTakeFirst(),

    /** Newest first. */
    listVersions(
      dataset: string,
      state: VersionState | undefined,
      before: number | undefined,
      limit: number,
    ) {
      let query = tables()
        .selectFrom("dataset_version")
        .selectAll()
        .where("dataset", "=", dataset)
        .orderBy("number", "desc")
        .limit(limit);
      if (state !== undefined) query = query.where("state", "=", state);
      if (before !== undefined) query = query.where("number", "<", before);
      return query.execute();
    },

    insertUpload: (row: UploadRow) => tables().insertInto("dataset_upload").values(row).execute(),

    getUpload: (id: string) =>
      tables().selectFrom("dataset_upload").selectAll().where("id", "=", id).executeTakeFirst(),

    extendUpload: (id: string, expiresMs: number) =>
      tables().updateTable("dataset_upload").set({ expires_ms: expiresMs }).where("id", "=", id).execute(),

    listExpiredUploads: (nowMs: number, limit: number) =>
      tables()
        .selectFrom("dataset_upload")
        .selectAll()
        .where("expires_ms", "<", nowMs)
        .orderBy("expires_ms")
        .limit(limit)
        .execute(),

    deleteUpload: (id: string) => tables().deleteFrom("dataset_upload").where("id", "=", id).execute(),
  };
}

export function datasetOf(row: Selectable<DatasetTable>): Dataset {
  return {
    name: row.name,
    description: row.description,
    expectations: JSON.parse(row.expectations),
    revision: row.revision,
    createdBy: row.created_by,
    createdMs: row.created_ms,
    updatedMs: row.updated_ms,
  };
}

export function versionOf(row: VersionRow): DatasetVersion {
  return {
    dataset: row.dataset,
    version: row.version,
    number: row.number,
    state: row.state,
    error: row.error,
    format: row.format,
    sizeBytes: row.size_bytes,
    rows: row.row_count,
    columns: JSON.parse(row.columns),
    checks: JSON.parse(row.checks),
    notes: JSON.parse(row.notes),
    findings: row.findings === null ? null : JSON.parse(row.findings),
    jobId: row.job_id,
    createdBy: row.created_by,
    createdMs: row.created_ms,
  };
}
