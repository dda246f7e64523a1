import path from "node:path";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import type { Capability } from "../../../shared/capability.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { Database } from "../../../shared/database/index.ts";
import { conflict, notFound } from "../../../shared/errors.ts";
import type { Actor } from "../../../shared/identity/index.ts";
import type { Job, Jobs, WorkerPool } from "../../../shared/jobs/index.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
import type { Datasets } from "../../datasets/index.ts";
import { createModelFiles } from "../repository/model-files.ts";
import type { ModelSource, ServableVersion } from "../repository/model-source.ts";
import { defaultSessionLimits, type SessionLimits } from "../runtime/sessions.ts";
import type { Serving } from "../serving.ts";
import { batchJob, deleteChunks } from "./batch-job.ts";
import { columnsNamed } from "./input-columns.ts";
import { batchPredictionRoutes } from "./routes.ts";
import type { BatchPrediction, BatchPredictionBody, BatchSpec } from "./schemas.ts";
import { type BatchFilter, type BatchRow, batchRow, createBatchStore } from "./store.ts";

export interface BatchPredictionsOptions {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly jobs: Jobs;
  readonly workers: WorkerPool;
  readonly datasets: Pick<Datasets, "getVersion" | "withRows" | "register">;
  readonly models: ModelSource;
  readonly serving: Pick<Serving, "getDeployment">;
  readonly clock: Clock;
  readonly logger: Pick<Logger, "error">;
  /** Of the configuration; files of models are kept in `cache/batch` below it. */
  readonly dataDirectory: string;
  readonly limits?: Partial<SessionLimits>;
}

/** Predictions for whole data sets, as jobs. */
export interface BatchPredictionOperations extends Capability {
  /**
   * Settles what is read and who predicts, and starts the job.
   *
   * @throws notFound for an unknown data set, version, deployment or model; conflict when the data set's version is not
   *   ready; invalid for columns that it does not have
   */
  submit(
    body: BatchPredictionBody,
    options: { readonly actor: Actor; readonly idempotencyKey?: string | undefined },
  ): Promise<Job>;
  get(id: string): Promise<BatchPrediction>;
  list(
    filter: BatchFilter,
    before: { readonly createdMs: number; readonly id: string } | undefined,
    limit: number,
  ): Promise<readonly BatchPrediction[]>;
}

/** Chunks of jobs that failed or were cancelled are kept so long for another try. */
const keepChunksMs = 7 * 24 * 3600_000;
/** Cells that a chunk is to have: what several chunks hold in memory stays within some tens of megabytes. */
const chunkCells = 500_000;
const maxChunkRows = 50_000;

export function createBatchPredictions(options: BatchPredictionsOptions): Capability {
  const { database, blobs, jobs, datasets, models, serving, clock } = options;
  const store = createBatchStore(database);
  const limits = { ...defaultSessionLimits, ...options.limits };
  const directory = path.resolve(options.dataDirectory, "cache", "batch");
  const { maxModelBytes: maxVersionBytes, maxCacheBytes: maxBytes } = limits;
  const files = createModelFiles({ blobs, directory, maxVersionBytes, maxBytes });
  const score = batchJob({ ...options, store, files, limits, directory });

  const settle = async (target: BatchPredictionBody["target"]): Promise<Settled> => {
    if (!("deployment" in target)) {
      return { version: await versionOf(models, target), deployment: null, revision: null };
    }
    const { name, revision, variants } = await serving.getDeployment(target.deployment);
    const heaviest = variants.reduce((best, variant) => (variant.weight > best.weight ? variant : best));
    return { version: await versionOf(models, heaviest), deployment: name, revision };
  };

  const shown = async (row: BatchRow): Promise<BatchPrediction> => ({
    id: row.job_id,
    input: { dataset: row.dataset, version: row.dataset_version, rows: row.row_count },
    model: { name: row.model, version: row.model_version },
    deployment: row.deployment,
    revision: row.revision,
    output: { dataset: row.output_dataset, version: row.output_version, failedRows: row.failed_rows },
    createdBy: row.created_by,
    createdMs: row.created_ms,
    job: (await jobs.get(row.job_id)) as BatchPrediction["job"],
  });

  const operations: BatchPredictionOperations = {
    routes: [],
    jobKinds: [score],
    timers: [
      {
        name: "serving-batch-sweep",
        schedule: "0 43 3 * * *",
        async run() {
          for (const id of await store.withOldChunks(clock() - keepChunksMs, 1000)) {
            const { endedMs } = await jobs.get(id);
            if (endedMs !== null && endedMs < clock() - keepChunksMs)
              await deleteChunks({ store, blobs }, id);
          }
        },
      },
    ],

    async submit({ input, target, output, maxFailedRows, chunkRows }, { actor, idempotencyKey }) {
      const source = await datasets.getVersion(input.dataset, input.version);
      if (source.state !== "ready") {
        throw conflict(`Version ${source.version} of "${source.dataset}" is ${source.state}, not ready.`);
      }
      const columns = input.columns ?? null;
      if (columns !== null) columnsNamed(source.columns, columns);
      columnsNamed(source.columns, output.keep);
      const { version, deployment, revision } = await settle(target);
      const all = source.rows ?? 0;
      const width = columns?.length ?? source.columns.length;
      const spec: BatchSpec = {
        dataset: source.dataset,
        version: source.version,
        columns,
        rows: Math.min(all, input.limit ?? all),
        keep: output.keep,
        output: output.dataset,
        maxFailedRows,
        chunkRows:
          chunkRows ?? Math.max(1000, Math.min(maxChunkRows, Math.floor(chunkCells / Math.max(1, width)))),
        model: version.name,
        modelVersion: version.version,
        storageLocation: version.storageLocation,
        deployment,
        revision,
      };
      return jobs.submit(score, spec, {
        actor,
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        alongside: (transaction, job) => store.insert(batchRow(spec, job), transaction),
      });
    },

    async get(id) {
      const row = await store.get(id);
      if (row === undefined) throw notFound(`There is no batch prediction "${id}".`);
      return shown(row);
    },

    async list(filter, before, limit) {
      return Promise.all((await store.list(filter, before, limit)).map(shown));
    },
  };
  return Object.assign(operations, { routes: batchPredictionRoutes(operations) });
}

interface Settled {
  readonly version: ServableVersion;
  readonly deployment: string | null;
  readonly revision: number | null;
}

async function versionOf(
  models: ModelSource,
  target: { readonly model: string } & ({ readonly version: number | string } | { readonly alias: string }),
): Promise<ServableVersion> {
  if ("version" in target) return models.getVersion(target.model, Number(target.version));
  const found = await models.getByAlias(target.model, target.alias);
  if (found !== null) return found;
  throw notFound(`The model "${target.model}" has no alias "${target.alias}", or there is no such model.`);
}
