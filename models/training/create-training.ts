import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Capability } from "../../shared/capability.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Config } from "../../shared/config.ts";
import type { Database } from "../../shared/database/index.ts";
import { notFound } from "../../shared/errors.ts";
import type { Actor } from "../../shared/identity/index.ts";
import type { Job, Jobs, WorkerPool } from "../../shared/jobs/index.ts";
import type { Datasets, FindUses } from "../datasets/index.ts";
import type { Registry } from "../registry/index.ts";
import type { Tracking } from "../tracking/index.ts";
import { withFixedPeriods } from "./data/newest-days.ts";
import { datasetUses } from "./dataset-uses.ts";
import { fitJob, planOf, requireReady } from "./fitting/fit-job.ts";
import { type KeyQuery, keyPage, type TrainedKeys } from "./many/keys.ts";
import { checkMany, manyJobs } from "./many/many-job.ts";
import { createManyStore } from "./many/store.ts";
import { recordOf, reproductionJob } from "./reproduction/reproduction.ts";
import { trainingRoutes } from "./routes.ts";
import type { Training, TrainingRequest } from "./schemas.ts";
import { createTrainingStore, type TrainingRow } from "./store.ts";

export interface TrainingOptions {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly jobs: Jobs;
  readonly workers: WorkerPool;
  readonly datasets: Datasets;
  readonly tracking: Tracking;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly config: Pick<Config, "codeVersion">;
}

/** Trainings as jobs: what others may ask for. */
export interface Trainings extends Capability {
  /**
   * Checks a request against its data set, whose version it settles, and starts the job.
   *
   * @throws notFound for an unknown data set or version; conflict when the version is not ready; invalid when the
   *   request does not fit its columns.
   */
  submit(
    spec: TrainingRequest,
    options: { readonly actor: Actor; readonly idempotencyKey?: string | undefined },
  ): Promise<Job>;
  /** Runs and model versions that were trained on a version of a data set and are still there. */
  readonly datasetUses: FindUses;
}

export interface TrainingOperations extends Trainings {
  get(id: string): Promise<Training>;
  list(
    model: string | undefined,
    before: { readonly createdMs: number; readonly id: string } | undefined,
    limit: number,
  ): Promise<readonly Training[]>;
  /** The keys of a training with `partitionBy`. @throws notFound */
  keys(id: string, query: KeyQuery): Promise<TrainedKeys>;
  /** Repeats a run and compares. @throws notFound; conflict when the run does not say what it was made from */
  reproduce(runId: string, options: { readonly actor: Actor }): Promise<Job>;
}

export function createTraining(options: TrainingOptions): Trainings {
  const { database, jobs, datasets } = options;
  const store = createTrainingStore(database);
  const fit = fitJob({ ...options, store });
  const many = createManyStore(database);
  const { many: fitMany, help } = manyJobs({ ...options, store, many });

  const repeats = { ...options, store, codeVersion: options.config.codeVersion };
  const reproduction = reproductionJob(repeats);

  const trainingOf = async (row: TrainingRow): Promise<Training> => ({
    id: row.job_id,
    dataset: row.dataset,
    version: row.dataset_version,
    registeredModel: row.registered_model,
    runId: row.run_id,
    modelVersion: row.model_version,
    createdBy: row.created_by,
    createdMs: row.created_ms,
    job: (await jobs.get(row.job_id)) as Training["job"],
  });

  const operations: TrainingOperations = {
    routes: [],
    jobKinds: [fit, fitMany, help, reproduction],
    timers: [],

    datasetUses: (doomed) => datasetUses({ ...options, store }, doomed),

    async submit(request, { actor, idempotencyKey }) {
      const version = await datasets.getVersion(request.dataset, request.version);
      requireReady(version);
      const spec = await withFixedPeriods(request, () => datasets.profileOf(version));
      planOf(spec, version);
      if (spec.partitionBy !== undefined) checkMany(spec, version);
      return jobs.submit(
        spec.partitionBy === undefined ? fit : fitMany,
        { ...spec, version: version.version },
        {
          actor,
          ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
          alongside: (transaction, job) =>
            store.insert(
              {
                job_id: job.id,
                dataset: spec.dataset,
                dataset_version: version.version,
                registered_model: spec.registeredModel ?? null,
                run_id: null,
                model_version: null,
                created_by: job.createdBy,
                created_ms: job.createdMs,
              },
              transaction,
            ),
        },
      );
    },

    async get(id) {
      const row = await store.get(id);
      if (row === undefined) throw notFound(`There is no training "${id}".`);
      return trainingOf(row);
    },

    async list(model, before, limit) {
      return Promise.all((await store.list(model, before, limit)).map(trainingOf));
    },

    async reproduce(runId, { actor }) {
      const { training } = await recordOf(repeats, runId);
      return jobs.submit(reproduction, { training, runId }, { actor });
    },

    async keys(id, query) {
      if ((await store.get(id)) === undefined) throw notFound(`There is no training "${id}".`);
      return keyPage(many, id, query);
    },
  };
  return Object.assign(operations, { routes: trainingRoutes(operations) });
}
