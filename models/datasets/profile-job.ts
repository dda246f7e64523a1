import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { z } from "zod";
import type { BlobStore } from "../../shared/blobs/index.ts";
import { inScratchDirectory } from "../../shared/duckdb/index.ts";
import { isKetlineError, notFound } from "../../shared/errors.ts";
import { type JobContext, type JobKind, runCooperatively, type WorkerPool } from "../../shared/jobs/index.ts";
import type { ProfileResult, ProfileTask } from "./profile.worker.ts";
import type { Expectation, VersionState } from "./schemas.ts";
import type { DatasetStore, VersionRow } from "./store.ts";
import { adoptContent } from "./uploads.ts";

/** Either a version whose content is stored, or an upload that becomes one. */
const ProfileSpec = z.union([
  z.strictObject({ dataset: z.string(), version: z.string() }),
  z.strictObject({ dataset: z.string(), upload: z.string() }),
]);
type ProfileSpec = z.infer<typeof ProfileSpec>;

export interface ProfileOutcome {
  readonly dataset: string;
  readonly version: string;
  readonly state: VersionState;
  readonly rows: number | null;
}

export interface ProfileJobOptions {
  readonly store: DatasetStore;
  readonly blobs: BlobStore;
  readonly workers: WorkerPool;
  readonly maxUploadBytes: number;
  /** Adds the version, with the actor of the job as its author. */
  readonly addVersion: (
    upload: { readonly dataset: string; readonly upload: string },
    content: Awaited<ReturnType<typeof adoptContent>>,
    jobId: string,
  ) => Promise<VersionRow>;
}

/** Reads a version whole: settles its types, profiles its columns and holds it against the expectations. */
export function profileJob(options: ProfileJobOptions): JobKind<ProfileSpec, ProfileOutcome> {
  return {
    kind: "datasets.profile",
    spec: ProfileSpec,
    role: "contributor",
    async run(context) {
      const row = await versionRow(options, context);
      if (row.state === "ready") return outcomeOf(row);
      try {
        return await profileVersion(options, context, row);
      } catch (error) {
        if (isKetlineError(error, "invalid")) {
          await options.store.updateVersion(row.dataset, row.version, {
            state: "failed",
            error: error.message,
          });
        }
        throw error;
      }
    },
  };
}

async function versionRow(options: ProfileJobOptions, context: JobContext<ProfileSpec>): Promise<VersionRow> {
  const { spec, signal } = context;
  if ("version" in spec) {
    const row = await options.store.getVersion(spec.dataset, spec.version);
    if (row === undefined) throw notFound(`There is no version "${spec.version}" of "${spec.dataset}".`);
    return row;
  }
  const upload = await options.store.getUpload(spec.upload);
  if (upload === undefined) throw notFound(`There is no upload "${spec.upload}"; it may have expired.`);
  context.progress(0, "storing the upload under its hash");
  const content = await adoptContent(
    options.blobs,
    { key: upload.blob_key },
    { dataset: upload.dataset, format: upload.format, maxBytes: options.maxUploadBytes },
    signal,
  );
  context.log(`The upload has ${content.sizeBytes} bytes and the SHA-256 ${content.version}.`);
  return options.addVersion({ dataset: spec.dataset, upload: spec.upload }, content, context.jobId);
}

async function profileVersion(
  options: ProfileJobOptions,
  context: JobContext<ProfileSpec>,
  row: VersionRow,
): Promise<ProfileOutcome> {
  const { store, blobs, workers } = options;
  const dataset = await store.getDataset(row.dataset);
  const expectations: Expectation[] = JSON.parse(dataset?.expectations ?? "[]");
  const file = await blobs.localFile(row.blob_key);
  try {
    return await inScratchDirectory(async (scratchDirectory) => {
      const task: ProfileTask = {
        source: { file: file.path, format: row.format, options: JSON.parse(row.options) },
        expectations,
        scratchDirectory,
      };
      const found = await runCooperatively<ProfileTask, ProfileResult>(
        workers,
        new URL("./profile.worker.ts", import.meta.url),
        task,
        { signal: context.signal, onProgress: (done, message) => context.progress(0.9 * done, message) },
      );
      return await recordFindings(options, context, row, found);
    });
  } finally {
    await file[Symbol.asyncDispose]();
  }
}

async function recordFindings(
  { store, blobs }: ProfileJobOptions,
  context: JobContext<ProfileSpec>,
  row: VersionRow,
  found: ProfileResult,
): Promise<ProfileOutcome> {
  const base = row.blob_key.slice(0, row.blob_key.lastIndexOf("."));
  const rowsKey = row.format === "parquet" ? row.blob_key : `${base}.rows.parquet`;
  const profileKey = `${base}.profile.json`;
  if (rowsKey !== row.blob_key) {
    const stream = Readable.toWeb(createReadStream(found.rowsFile)) as ReadableStream<Uint8Array>;
    await blobs.put(rowsKey, stream, { contentType: "application/vnd.apache.parquet" });
  }
  await blobs.put(profileKey, new TextEncoder().encode(JSON.stringify(found.profile)), {
    contentType: "application/json",
  });
  const failed = found.checks.filter((check) => !check.passed);
  for (const check of failed) {
    context.log(`Expectation not met: ${JSON.stringify(check.expectation)}. ${check.observed}`);
  }
  for (const note of found.notes) context.log(note);
  const state = failed.length === 0 ? "ready" : "rejected";
  const findings = {
    state,
    error: failed[0] === undefined ? null : failed.map((check) => check.observed).join(" "),
    rows_key: rowsKey,
    profile_key: profileKey,
    row_count: found.rows,
    columns: JSON.stringify(found.columns),
    checks: JSON.stringify(found.checks),
    notes: JSON.stringify(found.notes),
  } as const;
  await store.updateVersion(row.dataset, row.version, findings);
  context.log(
    `Version ${row.version.slice(0, 12)} of ${row.dataset} is ${state}: ${found.rows} rows, ${found.columns.length} columns.`,
  );
  return outcomeOf({ ...row, ...findings });
}

function outcomeOf(row: Pick<VersionRow, "dataset" | "version" | "state" | "row_count">): ProfileOutcome {
  return { dataset: row.dataset, version: row.version, state: row.state, rows: row.row_count };
}
