import type { Selectable } from "kysely";
import type { Format, VersionState } from "./schemas.ts";

/** The tables of the data sets. Their migration stands in `migrations.ts`. */
export interface DatasetTable {
  name: string;
  description: string;
  expectations: string;
  revision: number;
  created_by: string;
  created_ms: number;
  updated_ms: number;
  /** Of the versions added since there are deletions: a deleted one's number is not used again. */
  last_number: number;
}

/** One upload. What lies at its keys is its own: no other row, and no row before it, names them. */
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
  findings: string | null;
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

export interface DatasetTables {
  dataset: DatasetTable;
  dataset_version: VersionTable;
  dataset_upload: UploadTable;
  /** Blobs that nothing names any more and that are still to be deleted. */
  dataset_garbage: { blob_key: string; condemned_ms: number };
}

export type VersionRow = Selectable<VersionTable>;
export type UploadRow = Selectable<UploadTable>;
