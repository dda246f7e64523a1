import type { Selectable } from "kysely";
import type { Database } from "../../shared/database/index.ts";
import type { Dataset, DatasetVersion, Format, ReadOptions, VersionState } from "./schemas.ts";

interface DatasetTable {
  name: string;
  description: string;
  expectations: string;
  revision: number;
  created_by: string;
  created_ms: number;
  updated_ms: number;
}

interface VersionTable {
  dataset: string;
  version: string;
  number: number;
  state: VersionState;
  error: string | null;
  format: Format;
  options: string;
  size_bytes: number;
  blob_key: string;
  /** The rows as Parquet; the same as `blob_key` for Parquet files. */
  rows_key: string | null;
  profile_key: string | null;
  row_count: number | null;
  columns: string;
  checks: string;
  notes: string;
  job_id: string | null;
  created_by: string;
  created_ms: number;
}

interface UploadTable {
  id: string;
  dataset: string;
  format: Format;
  options: string;
  blob_key: string;
  created_by: string;
  expires_ms: number;
}

interface Tables {
  dataset: DatasetTable;
  dataset_version: VersionTable;
  dataset_upload: UploadTable;
}

export type VersionRow = Selectable<VersionTable>;
export type UploadRow = Selectable<UploadTable>;

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
    "state" | "error" | "rows_key" | "profile_key" | "row_count" | "columns" | "checks" | "notes" | "job_id"
  >
>;

export type DatasetStore = ReturnType<typeof createDatasetStore>;

export function createDatasetStore(database: Database) {
  const tables = () => database.tables<Tables>();
  return {
    getDataset: (name: string) =>
      tables().selectFrom("dataset").selectAll().where("name", "=", name).executeTakeFirst(),

    listDatasets(after: string | undefined, limit: number) {
      let query = tables().selectFrom("dataset").selectAll().orderBy("name").limit(limit);
      if (after !== undefined) query = query.where("name", ">", after);
      return query.execute();
    },

    /** @returns whether it was new. */
    async insertDataset(row: DatasetTable): Promise<boolean> {
      const result = await tables()
        .insertInto("dataset")
        .values(row)
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

    /** Adds the version under the next number, or gives back the one that has this content already. */
    insertVersion: (version: NewVersionRow): Promise<VersionRow> =>
      database.transaction<Tables, VersionRow>(async (trx) => {
        const found = () =>
          trx
            .selectFrom("dataset_version")
            .selectAll()
            .where("dataset", "=", version.dataset)
            .where("version", "=", version.version)
            .executeTakeFirst();
        // Writing to the data set's row first makes others who number a version wait for this transaction.
        await trx
          .updateTable("dataset")
          .set({ updated_ms: version.nowMs })
          .where("name", "=", version.dataset)
          .execute();
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
          number: Number(highest ?? 0) + 1,
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
          job_id: null,
          created_by: version.createdBy,
          created_ms: version.nowMs,
        };
        await trx.insertInto("dataset_version").values(row).execute();
        return row;
      }),

    /** Makes a version that could not be used pending again, to be read in another way perhaps. */
    async reopenVersion(
      row: VersionRow,
      reading: Pick<NewVersionRow, "format" | "options" | "blobKey">,
    ): Promise<void> {
      await tables()
        .updateTable("dataset_version")
        .set({
          state: "pending",
          error: null,
          format: reading.format,
          options: JSON.stringify(reading.options),
          blob_key: reading.blobKey,
          rows_key: null,
          profile_key: null,
        })
        .where("dataset", "=", row.dataset)
        .where("version", "=", row.version)
        .where("state", "!=", "ready")
        .execute();
    },

    async updateVersion(dataset: string, version: string, findings: VersionFindings): Promise<void> {
      await tables()
        .updateTable("dataset_version")
        .set(findings)
        .where("dataset", "=", dataset)
        .where("version", "=", version)
        .execute();
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
    jobId: row.job_id,
    createdBy: row.created_by,
    createdMs: row.created_ms,
  };
}
