import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Hono } from "hono";
import { createEnvironments } from "./environments/index.ts";
import { createDatasets, datasetMigrations } from "./models/datasets/index.ts";
import { createMonitoring, monitoringMigrations } from "./models/monitoring/index.ts";
import {
  artifactUsesOf,
  createRegistry,
  createWebhooks,
  registryMigrations,
} from "./models/registry/index.ts";
import {
  batchMigrations,
  createBatchPredictions,
  createServing,
  servingMigrations,
} from "./models/serving/index.ts";
import { createTracking, trackingMigrations } from "./models/tracking/index.ts";
import { createTraining, createTrainingSchedules, trainingMigrations } from "./models/training/index.ts";
import { createTransfer, transferMigrations } from "./models/transfer/index.ts";
import { createQuantum, quantumMigrations } from "./quantum/index.ts";
import { requestExamples } from "./request-examples.ts";
import { createBlobEndpoint, createBlobLinks, loadSigningKey, openBlobStore } from "./shared/blobs/index.ts";
import type { Capability, Timer } from "./shared/capability.ts";
import { type Clock, systemClock } from "./shared/clock.ts";
import { type Config, silenceDependencies } from "./shared/config.ts";
import { openDatabase } from "./shared/database/index.ts";
import { unavailable } from "./shared/errors.ts";
import { exitCodes } from "./shared/exit-codes.ts";
import {
  createApplication,
  createDirectRoutes,
  type DirectRoutes,
  type Route,
  systemRoutes,
} from "./shared/http/index.ts";
import { createAuditLog, createIdentity, identityMigrations } from "./shared/identity/index.ts";
import {
  createJobRunner,
  createJobs,
  createWorkerPool,
  type JobRunner,
  jobMigrations,
} from "./shared/jobs/index.ts";
import { openMessageQueue, queueMigrations } from "./shared/queues/index.ts";
import { sweepScratchDirectories } from "./shared/scratch/index.ts";
import { createLogger, type Logger, startTelemetry } from "./shared/telemetry/index.ts";
import { version } from "./shared/version.ts";

/** Everything behind the doors. */
export interface Platform {
  readonly config: Config;
  readonly logger: Logger;
  /** The whole application: `app.fetch(request)`. */
  readonly app: Hono;
  /** The shorter way to its hot paths, for a door of our own. */
  readonly direct: DirectRoutes;
  readonly routes: readonly Route[];
  readonly timers: readonly Timer[];
  readonly runner: JobRunner;
  /** Writes out what capabilities have buffered. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** The composition root: opens the configured stores, wires the capabilities to them and mounts their routes. */
export async function createPlatform(config: Config, clock: Clock = systemClock): Promise<Platform> {
  silenceDependencies();
  const logger = createLogger(config);
  const telemetry = await startTelemetry({ config, logger });
  const { events } = telemetry;
  const database = await openDatabase(
    config.database,
    [
      ...jobMigrations,
      ...queueMigrations,
      ...identityMigrations,
      ...datasetMigrations,
      ...trackingMigrations,
      ...registryMigrations,
      ...trainingMigrations,
      ...servingMigrations,
      ...batchMigrations,
      ...monitoringMigrations,
      ...transferMigrations,
      ...quantumMigrations,
    ],
    endWithoutLog(logger),
  );
  const signingKey = await loadSigningKey(config);
  const blobs = await openBlobStore(config.blobs, { signingKey, clock });
  const links = createBlobLinks({ signingKey, clock });
  const { maxUploadBytes } = config;
  const refuseFrozen = (key: string, change: "write" | "delete") => registry.refuseFrozen(key, change);
  const blobEndpoint = createBlobEndpoint({ store: blobs, links, clock, maxUploadBytes, refuseFrozen });
  const queue = await openMessageQueue(config.queues, { database, clock });
  const audit = createAuditLog({ database, clock, logger, retentionDays: config.retention.auditDays });
  const identity = createIdentity({ config, database, clock, audit });
  const workers = createWorkerPool({
    threads: config.workerThreads,
    onStartFailure: (reason) => logger.error(reason),
  });
  const { retention } = config;
  const jobs = createJobs({
    database,
    queue,
    clock,
    audit,
    logger,
    events,
    actorNow: identity.actorNow,
    retentionDays: retention.jobDays,
  });
  const swept = sweepScratchDirectories(clock()).catch((error: unknown) => {
    logger.warn({ err: error }, "directories that killed processes left could not be removed");
  });
  const instanceId = `${hostname()}-${randomUUID().slice(0, 8)}`;
  const runner = createJobRunner({
    jobs,
    queue,
    clock,
    logger,
    concurrency: config.jobConcurrency,
    instanceId,
  });

  const { checkStanding } = identity;
  const ground = { config, database, blobs, jobs, workers, clock, audit, checkStanding, logger, events };
  const datasets = createDatasets({
    ...ground,
    usedBy: [(doomed) => training.datasetUses(doomed), (doomed) => monitoring.datasetUses(doomed)],
    madeBy: ["serving.batch"],
  });
  const artifactUses = artifactUsesOf(() => registry);
  const tracking = createTracking({ ...ground, artifactUses, refuseFrozen });
  const webhooks = createWebhooks({ ...ground, signingKey });
  const registry = createRegistry({ ...ground, tracking, webhooks });
  const training = createTraining({ ...ground, datasets, tracking, registry });
  const serves = {
    models: registry,
    dataDirectory: config.dataDirectory,
    limits: { maxBytes: config.models.memoryBytes, hosts: config.models.hosts },
  };
  const serving = createServing({ ...ground, ...serves, rootModel: config.models.root });
  const batchPredictions = createBatchPredictions({ ...ground, ...serves, datasets, serving });
  const schedules = createTrainingSchedules({
    ...ground,
    trainings: training,
    datasets,
    startRollout: serving.rollOut,
    rollout: serving.rolloutStatus,
    checkRolloutPlan: serving.checkRolloutPlan,
  });
  const { retrain } = schedules;
  const monitoring = createMonitoring({ ...ground, serving, registry, datasets, signingKey, retrain });
  const transfer = createTransfer({ ...ground, tracking, registry, signingKey });
  const quantum = createQuantum({ ...ground, links, tracking });
  const environments = createEnvironments();

  const capabilities: Capability[] = [
    jobs,
    identity,
    audit,
    blobEndpoint,
    datasets,
    tracking,
    registry,
    webhooks,
    training,
    schedules,
    serving,
    batchPredictions,
    monitoring,
    transfer,
    quantum,
    environments,
  ];
  for (const kind of capabilities.flatMap((capability) => capability.jobKinds)) jobs.register(kind);

  const routes = capabilities.flatMap((capability) => capability.routes);
  const ready = async () => {
    await database.check();
    await blobs.check?.();
    for (const part of [...capabilities, workers]) {
      const problem = part.problem?.();
      if (problem !== undefined) throw unavailable(problem, { retryAfterSeconds: 5 });
    }
  };
  const allRoutes = [...routes, ...systemRoutes({ routes, version, ready, examples: requestExamples })];
  const application = {
    routes: allRoutes,
    identity,
    logger,
    publicUrl: config.publicUrl,
    observe: telemetry.observeRequest,
  };

  return {
    config,
    logger,
    app: createApplication(application),
    direct: createDirectRoutes(application),
    routes: allRoutes,
    timers: capabilities.flatMap((capability) => capability.timers),
    runner,
    async flush() {
      await Promise.all(capabilities.map((capability) => capability.flush?.()));
    },
    async close() {
      await Promise.allSettled(capabilities.map((capability) => capability.close?.()));
      await workers.close();
      await swept;
      await database.close();
      await telemetry.close();
    },
  };
}

/**
 * What waits for the disk gets no answer, as nobody knows what it holds, and nothing is written any more. Whatever
 * started this process starts it again, over what the disk then says it has.
 */
function endWithoutLog(logger: Logger): (error: Error) => void {
  return (error) => {
    logger.fatal(
      { err: error },
      `the database's log did not reach the disk; ending with ${exitCodes.logLost}`,
    );
    process.exit(exitCodes.logLost);
  };
}
