import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { z } from "zod";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import { isKetlineError, notFound } from "../../../shared/errors.ts";
import type { JobContext, JobKind, WorkerPool } from "../../../shared/jobs/index.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import type { Events } from "../../../shared/telemetry/index.ts";
import type { Admit } from "../admission.ts";
import type { Expectation, VersionState } from "../schemas.ts";
import type { DatasetStore } from "../store.ts";
import type { VersionRow } from "../tables.ts";
import type { ProfileResult, ProfileTask } from "./profile.worker.ts";

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
  readonly admit: Admit;
  readonly maxUploadBytes: number;
  readonly events: Pick<Events, "datasetRegistered">;
}

/** Reads a version whole: settles its types, profiles its columns and holds it against the expectations. */
export function profileJob(options: ProfileJobOptions): JobKind<ProfileSpec, ProfileOutcome> {
  return {
    kind: "datasets.profile",
    spec: ProfileSpec,
    role: "contributor",
    unneeded: (ids) => options.store.unnamedJobs(ids),
    async putRight({ jobId, spec: left, reason }) {
      const spec = ProfileSpec.parse(left);
      const row = await ("version" in spec
        ? options.store.getVersion(spec.dataset, spec.version)
        : options.store.getVersionOfJob(spec.dataset, jobId));
      // A pending version would have whoever waits for it wait for ever.
      if (row?.state !== "pending" || row.job_id !== jobId) return;
      await options.store.recordFindings(row, { state: "failed", error: reason });
    },
    async run(context) {
      const row = await versionRow(options, context);
      if (row.state === "ready") return outcomeOf(row);
      try {
        return await profileVersion(options, context, row);
      } catch (error) {
        if (isKetlineError(error) && filesFault.has(error.kind)) {
          await options.store.recordFindings(row, {
            state: "failed",
            error: error.message,
          });
        }
        throw error;
      }
    },
  };
}

/** What the same bytes would meet again: malformed, more memory than there is, or the end of the process that reads. */
const filesFault: ReadonlySet<string> = new Set(["invalid", "too_large", "unsupported"]);

async function versionRow(options: ProfileJobOptions, context: JobContext<ProfileSpec>): Promise<VersionRow> {
  const { spec, signal } = context;
  if ("version" in spec) {
    const row = await options.store.getVersion(spec.dataset, spec.version);
    if (row === undefined) throw notFound(`There is no version "${spec.version}" of "${spec.dataset}".`);
    return row;
  }
  const admitted = await options.store.getVersionOfJob(spec.dataset, context.jobId);
  const upload = await options.store.getUpload(spec.upload);
  if (admitted !== undefined) {
    // The attempt that admitted it may have had no time to.
    if (upload !== undefined) await options.blobs.delete(upload.blob_key);
    return admitted;
  }
  if (upload === undefined) throw notFound(`There is no upload "${spec.upload}"; it may have expired.`);
  context.progress(0, "storing the upload under its hash");
  const row = await options.admit(
    {
      key: upload.blob_key,
      dataset: upload.dataset,
      format: upload.format,
      options: JSON.parse(upload.options),
      actor: JSON.parse(upload.created_by),
      jobId: context.jobId,
    },
    signal,
  );
  context.log(`The upload has ${row.size_bytes} bytes and the SHA-256 ${row.version}.`);
  return row;
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
        source: {
          file: file.path,
          format: row.format,
          options: JSON.parse(row.options),
          maxBytes: options.maxUploadBytes,
        },
        expectations,
        scratchDirectory,
      };
      const found = await workers.runApart<ProfileTask, ProfileResult>(
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
  { store, blobs, events }: ProfileJobOptions,
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
    findings: found.findings === null ? null : JSON.stringify(found.findings),
  } as const;
  const recorded = await store.recordFindings(row, findings);
  if (recorded === "gone") {
    await blobs.delete(rowsKey);
    await blobs.delete(profileKey);
    throw notFound(`Version ${row.version} of "${row.dataset}" was deleted while it was read.`);
  }
  if (state === "ready" && recorded === "first") {
    const { dataset, version: datasetVersion, size_bytes: sizeBytes } = row;
    events.datasetRegistered({ dataset, datasetVersion, rows: found.rows, sizeBytes });
  }
  context.log(
    `Version ${row.version.slice(0, 12)} of ${row.dataset} is ${state}: ${found.rows} rows, ${found.columns.length} columns.`,
  );
  return outcomeOf({ ...row, ...findings });
}

function outcomeOf(row: Pick<VersionRow, "dataset" | "version" | "state" | "row_count">): ProfileOutcome {
  return { dataset: row.dataset, version: row.version, state: row.state, rows: row.row_count };
}
