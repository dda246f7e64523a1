import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Capability } from "../../shared/capability.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Database } from "../../shared/database/index.ts";
import type { AuditLog } from "../../shared/identity/index.ts";
import type { Jobs } from "../../shared/jobs/index.ts";
import { joinUri, prefixOf, proxiedPath } from "./artifacts/artifact-uris.ts";
import { putArtifact, resolveArtifactUri } from "./artifacts/artifacts.ts";
import { sweepUploads } from "./artifacts/uploads.ts";
import { type RefuseFrozen, storeOf, type TrackingContext } from "./context.ts";
import { ensureExperiment } from "./experiments.ts";
import type { ArtifactUses } from "./garbage/artifact-uses.ts";
import { garbageJob } from "./garbage/garbage-job.ts";
import { garbageRoutes } from "./garbage/routes.ts";
import { adoptLoggedModel, noteModelVersion, requireLoggedModel } from "./logged-models.ts";
import { logBatch, logInputs } from "./logging.ts";
import { trackingRoutes } from "./routes.ts";
import { adoptRun, createRun, failRun, requireRun, updateRun } from "./runs.ts";
import type { KeyValue } from "./store/experiments.ts";
import { findRun, selectActiveRunIds } from "./store/runs.ts";
import type { Tracking } from "./tracking.ts";

export interface TrackingOptions {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly audit: AuditLog;
  /** With them, and what is still needed of artifacts, what was deleted can be removed for good. */
  readonly jobs?: Jobs;
  readonly artifactUses?: ArtifactUses;
  readonly refuseFrozen?: RefuseFrozen;
  /** `maxUploadBytes`: the most bytes that one artifact may have; 50 GiB by default. */
  readonly config?: { readonly maxUploadBytes: number };
}

/** MLflow's tracking server over the given stores. */
export function createTracking(options: TrackingOptions): Tracking {
  const { database, blobs, clock, audit } = options;
  const maxArtifactBytes = options.config?.maxUploadBytes ?? 50 * 1024 ** 3;
  const context: TrackingContext = {
    database,
    blobs,
    clock,
    audit,
    maxArtifactBytes,
    refuseFrozen: options.refuseFrozen,
  };
  const garbage = garbageOf(context, options);
  return {
    routes: [...trackingRoutes(context), ...garbage.routes],
    jobKinds: garbage.jobKinds,
    timers: [
      {
        name: "tracking-uploads",
        schedule: "0 25 * * * *",
        run: async () => {
          await sweepUploads(context);
        },
      },
    ],

    ensureExperiment: (name, actor) => ensureExperiment(context, name, actor),

    async createRun({ runId, experimentId, name = "", tags = {}, actor }) {
      const there = runId === undefined ? undefined : await findRun(storeOf(context), runId);
      if (there !== undefined) return { runId: there.run_id, artifactRoot: there.artifact_uri };
      const run = await createRun(context, {
        runId,
        experimentId,
        userId: actor.name,
        name,
        tags: pairs({ "mlflow.user": actor.name, ...tags }),
      });
      return { runId: run.run_id, artifactRoot: run.artifact_uri };
    },

    adoptRun: (run) => adoptRun(context, { ...run, tags: [] }),
    adoptLoggedModel: (model) =>
      adoptLoggedModel(context, model.modelId, {
        experiment_id: model.experimentId,
        name: model.name,
        model_type: model.modelType,
        source_run_id: model.sourceRunId,
        params: [],
        tags: [],
      }),

    logBatch: (runId, { metrics = [], params = {}, tags = {} }) =>
      logBatch(context, runId, {
        metrics: metrics.map(({ key, value, timestamp = clock(), step = 0 }) => ({
          key,
          value,
          timestamp,
          step,
        })),
        params: pairs(params),
        tags: pairs(tags),
      }),

    logDataset: (runId, dataset) =>
      logInputs(
        context,
        runId,
        [
          {
            tags: [{ key: "mlflow.data.context", value: dataset.context }],
            dataset: {
              name: dataset.name,
              digest: dataset.digest,
              source_type: dataset.sourceType,
              source: dataset.source,
              schema: dataset.schema,
              profile: dataset.profile,
            },
          },
        ],
        [],
      ),

    async putArtifact(runId, path, body, artifactOptions = {}) {
      const { artifact_uri } = await requireRun(storeOf(context), runId);
      const uri = joinUri(artifact_uri, path);
      prefixOf(uri);
      await putArtifact(context, proxiedPath(uri) ?? "", body, artifactOptions);
    },

    async endRun(runId, status) {
      await updateRun(context, runId, { status, endMs: clock() });
    },

    failRun: (runId, reason, status = "FAILED") => failRun(context, runId, status, reason),

    resolveArtifacts: async (uri) => prefixOf(await resolveArtifactUri(context, uri)),
    resolveArtifactUri: (uri) => resolveArtifactUri(context, uri),

    activeRuns: async (runIds) => new Set(await selectActiveRunIds(storeOf(context), runIds)),

    async getLoggedModel(modelId) {
      const model = await requireLoggedModel(storeOf(context), modelId);
      return {
        modelId,
        experimentId: String(model.experiment_id),
        name: model.name,
        sourceRunId: model.source_run_id === "" ? null : model.source_run_id,
        artifactUri: model.artifact_uri,
      };
    },

    noteModelVersion: (modelId, name, version) => noteModelVersion(context, modelId, name, version),
  };
}

/** Nothing is removed where nobody can tell what is still needed. */
function garbageOf(
  context: TrackingContext,
  { jobs, artifactUses }: TrackingOptions,
): Pick<Capability, "routes" | "jobKinds"> {
  if (jobs === undefined || artifactUses === undefined) return { routes: [], jobKinds: [] };
  const kind = garbageJob(context, artifactUses);
  return { routes: garbageRoutes(context, jobs, kind), jobKinds: [kind] };
}

function pairs(map: Readonly<Record<string, string>>): KeyValue[] {
  return Object.entries(map).map(([key, value]) => ({ key, value }));
}
