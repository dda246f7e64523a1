import { randomUUID } from "node:crypto";
import type { BlobBody, BlobStore } from "../../shared/blobs/index.ts";
import type { Capability } from "../../shared/capability.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Database } from "../../shared/database/index.ts";
import { conflict, invalid, notFound, preconditionFailed } from "../../shared/errors.ts";
import { type Actor, type AuditLog, systemActor } from "../../shared/identity/index.ts";
import type { Job, JobOperations, Jobs, SubmitOptions, WorkerPool } from "../../shared/jobs/index.ts";
import type { Events, Logger } from "../../shared/telemetry/index.ts";
import { createAdmission } from "./admission.ts";
import { createDeletions, type DeletedBy } from "./deletion.ts";
import { createDeletionStore } from "./deletion-store.ts";
import { profileJob } from "./profiling/profile-job.ts";
import { datasetRoutes } from "./routes.ts";
import type {
  ColumnProfile,
  Dataset,
  DatasetVersion,
  Format,
  NewUpload,
  PutDatasetBody,
  ReadOptions,
  VersionState,
} from "./schemas.ts";
import { createDatasetStore, datasetOf, versionOf } from "./store.ts";
import type { VersionRow } from "./tables.ts";
import { incomingKey, sizeOf, sweepIncoming } from "./uploads.ts";
import type { FindUses } from "./uses.ts";

export interface DatasetsOptions {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly jobs: Jobs & Pick<JobOperations, "list">;
  readonly workers: WorkerPool;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly logger: Logger;
  readonly events: Pick<Events, "datasetRegistered">;
  readonly config: { readonly maxUploadBytes: number };
  /** Those above who may need a version; it is not deleted then. */
  readonly usedBy?: readonly FindUses[];
  /** Kinds of jobs that make a version from another one, which is not deleted before it. */
  readonly madeBy?: readonly string[];
}

export interface NewVersion {
  readonly dataset: string;
  readonly format: Format;
  readonly options?: ReadOptions;
  readonly body: BlobBody;
  readonly actor: Actor;
  readonly signal?: AbortSignal;
}

export interface Registration {
  readonly version: DatasetVersion;
  /** Null when this content was registered and profiled before. */
  readonly job: Job | null;
}

/** Data sets, versioned by their content: what other capabilities may do with them. */
export interface Datasets extends Capability {
  /**
   * Stores content as a version of a data set, which is made when there is none of that name, and starts its profile.
   * The same content again gives the same version.
   *
   * @throws invalid for an empty body, tooLarge past the limit.
   */
  register(version: NewVersion): Promise<Registration>;
  /**
   * @param version a SHA-256, its first 8 digits or more, or `latest`: the newest that is ready
   * @throws notFound; conflict when the prefix fits several.
   */
  getVersion(dataset: string, version: string): Promise<DatasetVersion>;
  /** The version that came last, whatever its state; null when there is none yet, or no such data set. */
  newestVersion(dataset: string): Promise<DatasetVersion | null>;
  /**
   * Gives `work` the rows of a version as a Parquet file on the local disk.
   *
   * @throws conflict when the version is not ready.
   */
  withRows<Result>(
    version: Pick<DatasetVersion, "dataset" | "version">,
    work: (file: string) => Promise<Result>,
  ): Promise<Result>;
  /** Null until the version is profiled. */
  profileOf(version: DatasetVersion): Promise<readonly ColumnProfile[] | null>;
}

/** What the routes need beside that. */
export interface DatasetOperations extends Datasets {
  put(name: string, body: PutDatasetBody, actor: Actor): Promise<Dataset>;
  /** @throws conflict, with those who use it, when somebody does. */
  deleteVersion(dataset: string, version: string, by: DeletedBy): Promise<void>;
  /** Likewise, with all versions. */
  deleteDataset(name: string, by: DeletedBy): Promise<void>;
  get(name: string): Promise<Dataset>;
  list(after: string | undefined, limit: number): Promise<readonly Dataset[]>;
  listVersions(
    name: string,
    state: VersionState | undefined,
    before: number | undefined,
    limit: number,
  ): Promise<readonly DatasetVersion[]>;
  contentUrl(version: DatasetVersion, baseUrl: string): Promise<string>;
  startUpload(dataset: string, upload: NewUpload, baseUrl: string, actor: Actor): Promise<StartedUpload>;
  completeUpload(dataset: string, id: string, actor: Actor): Promise<Job>;
}

export interface StartedUpload {
  readonly id: string;
  readonly url: string;
  readonly expiresMs: number;
}

const uploadMs = 6 * 3600_000;
const downloadMs = 15 * 60_000;
/** Longer than any request is between a version and its job. */
const unreadMs = 10 * 60_000;
/** A completed upload is kept so long for its job, which may have to wait and to try again. */
const adoptionMs = 7 * 24 * 3600_000;

export function createDatasets(options: DatasetsOptions): Datasets {
  const { database, blobs, jobs, workers, clock, audit, events } = options;
  const { maxUploadBytes } = options.config;
  const store = createDatasetStore(database);

  const find = async (name: string): Promise<Dataset> => {
    const row = await store.getDataset(name);
    if (row === undefined) throw notFound(`There is no data set "${name}".`);
    return datasetOf(row);
  };

  const ensure = async (name: string, actor: Actor): Promise<void> => {
    if ((await store.getDataset(name)) !== undefined) return;
    await insert(name, { description: "", expectations: [] }, actor);
  };

  const insert = async (
    name: string,
    { description, expectations }: PutDatasetBody,
    actor: Actor,
  ): Promise<boolean> => {
    const nowMs = clock();
    const fresh = await store.insertDataset({
      name,
      description,
      expectations: JSON.stringify(expectations),
      revision: 1,
      created_by: actor.id,
      created_ms: nowMs,
      updated_ms: nowMs,
    });
    if (fresh) {
      const after = { description, expectations };
      await audit.record({ actor, action: "dataset.create", subject: `dataset/${name}`, after });
    }
    return fresh;
  };

  const admit = createAdmission({ store, blobs, clock, audit, maxUploadBytes });
  const profile = profileJob({ store, blobs, workers, admit, events, maxUploadBytes });
  const deletions = createDeletions({
    ...options,
    store,
    deletions: createDeletionStore(database),
    usedBy: options.usedBy ?? [],
    madeBy: options.madeBy ?? [],
  });

  /** The job that profiles a pending version: the one under way, or a new one. */
  const ensureProfiling = async (row: VersionRow, actor: Actor): Promise<Job> => {
    if (row.job_id !== null) {
      const job = await jobs.get(row.job_id);
      if (job.state === "queued" || job.state === "running") return job;
    }
    const { dataset, version } = row;
    const alongside: SubmitOptions["alongside"] = (transaction, { id }) =>
      store.setJob(dataset, version, id, transaction);
    return jobs.submit(profile, { dataset, version }, { actor, alongside });
  };

  const resolve = async (dataset: string, version: string): Promise<VersionRow> => {
    if (version === "latest") {
      const row = await store.getLatestReady(dataset);
      if (row !== undefined) return row;
      await find(dataset);
      throw notFound(`No version of the data set "${dataset}" is ready.`);
    }
    const [row, other] = await store.getVersionsByPrefix(dataset, version);
    if (row === undefined) {
      await find(dataset);
      throw notFound(`The data set "${dataset}" has no version "${version}".`);
    }
    if (other !== undefined) {
      throw conflict(`Several versions of "${dataset}" begin with "${version}"; give more of its digits.`);
    }
    return row;
  };

  const operations: Omit<DatasetOperations, "routes"> = {
    jobKinds: [profile],
    timers: [
      {
        name: "datasets-uploads-sweep",
        schedule: "0 23 * * * *",
        async run() {
          const nowMs = clock();
          for (const upload of await store.listExpiredUploads(nowMs, 1000)) {
            await blobs.delete(upload.blob_key);
            await store.deleteUpload(upload.id);
          }
          await sweepIncoming(blobs, nowMs - adoptionMs - uploadMs);
          // Their process ended after it wrote them and before it asked for their profile.
          for (const row of await store.withoutJob(nowMs - unreadMs, 1000)) {
            await ensureProfiling(row, systemActor("datasets-sweep"));
          }
        },
      },
      { name: "datasets-garbage", schedule: "0 53 * * * *", run: deletions.removeGarbage },
      { name: "datasets-orphans", schedule: "0 47 3 * * *", run: deletions.removeOrphans },
    ],

    async register({ dataset, format, options: reading = {}, body, actor, signal }) {
      const key = incomingKey();
      const arrived = await blobs.put(key, body, {
        maxBytes: maxUploadBytes,
        ...(signal === undefined ? {} : { signal }),
      });
      const arrival = { key, version: arrived.sha256, dataset, format, options: reading, actor };
      let row: VersionRow;
      try {
        if (arrived.sizeBytes > 0) await ensure(dataset, actor);
        row = await admit(arrival, signal);
      } catch (error) {
        await blobs.delete(key);
        throw error;
      }
      if (row.state === "ready") return { version: versionOf(row), job: null };
      const job = await ensureProfiling(row, actor);
      return { version: versionOf({ ...row, job_id: job.id }), job };
    },

    getVersion: async (dataset, version) => versionOf(await resolve(dataset, version)),

    async newestVersion(dataset) {
      const [row] = await store.listVersions(dataset, undefined, undefined, 1);
      return row === undefined ? null : versionOf(row);
    },

    async withRows(version, work) {
      const row = await resolve(version.dataset, version.version);
      if (row.state !== "ready" || row.rows_key === null) {
        const why = row.error === null ? "" : ` ${row.error}`;
        throw conflict(`Version ${row.version} of "${row.dataset}" is ${row.state}, not ready.${why}`);
      }
      const file = await blobs.localFile(row.rows_key);
      try {
        return await work(file.path);
      } finally {
        await file[Symbol.asyncDispose]();
      }
    },

    async put(name, body, actor) {
      const row = await store.getDataset(name);
      if (body.revision !== undefined && body.revision !== (row?.revision ?? 0)) {
        throw preconditionFailed(
          `The data set "${name}" has revision ${row?.revision ?? 0}, not ${body.revision}.`,
        );
      }
      if (row === undefined) {
        if (await insert(name, body, actor)) return find(name);
        throw preconditionFailed(`Somebody else made the data set "${name}" just now.`);
      }
      const next = {
        ...row,
        description: body.description,
        expectations: JSON.stringify(body.expectations),
        revision: row.revision + 1,
        updated_ms: clock(),
      };
      if (!(await store.updateDataset(next))) {
        throw preconditionFailed(`Somebody else changed the data set "${name}" just now.`);
      }
      const [before, after] = [datasetOf(row), datasetOf(next)].map(({ description, expectations }) => ({
        description,
        expectations,
      }));
      await audit.record({ actor, action: "dataset.update", subject: `dataset/${name}`, before, after });
      return datasetOf(next);
    },

    async deleteVersion(dataset, version, by) {
      await deletions.deleteVersion(await resolve(dataset, version), by);
    },
    deleteDataset: deletions.deleteDataset,

    get: find,
    list: async (after, limit) => (await store.listDatasets(after, limit)).map(datasetOf),

    async listVersions(name, state, before, limit) {
      await find(name);
      return (await store.listVersions(name, state, before, limit)).map(versionOf);
    },

    async profileOf({ dataset, version }) {
      const { profile_key: key } = await resolve(dataset, version);
      const content = key === null ? null : await blobs.get(key);
      return content === null ? null : JSON.parse(await new Response(content.stream).text());
    },

    async contentUrl({ dataset, version }, baseUrl) {
      const { blob_key: key } = await resolve(dataset, version);
      return blobs.signedUrl(key, { method: "GET", expiresInMs: downloadMs, baseUrl });
    },

    async startUpload(dataset, { format, ...reading }, baseUrl, actor) {
      await ensure(dataset, actor);
      const id = randomUUID();
      const key = incomingKey(id);
      const expiresMs = clock() + uploadMs;
      await store.insertUpload({
        id,
        dataset,
        format,
        options: JSON.stringify(reading),
        blob_key: key,
        created_by: JSON.stringify(actor),
        expires_ms: expiresMs,
      });
      const url = await blobs.signedUrl(key, { method: "PUT", expiresInMs: uploadMs, baseUrl });
      return { id, url, expiresMs };
    },

    async completeUpload(dataset, id, actor) {
      const upload = await store.getUpload(id);
      if (upload === undefined || upload.dataset !== dataset) {
        throw notFound(`The data set "${dataset}" has no upload "${id}"; it may have expired.`);
      }
      const submission = { actor, idempotencyKey: `upload:${id}` };
      const first = upload.expires_ms - clock() <= uploadMs;
      if (first) await sizeOf(blobs, upload.blob_key, maxUploadBytes);
      await store.extendUpload(id, clock() + adoptionMs);
      return jobs.submit(profile, { dataset, upload: id }, submission);
    },
  };
  if (maxUploadBytes < 1) throw invalid("maxUploadBytes must be positive.");
  const routes: DatasetOperations["routes"] = [];
  const complete: DatasetOperations = Object.assign(operations, { routes });
  return Object.assign(complete, { routes: datasetRoutes(complete) });
}
