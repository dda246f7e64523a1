import { randomUUID } from "node:crypto";
import path from "node:path";
import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Database } from "../../shared/database/index.ts";
import { callersFaults } from "../../shared/errors.ts";
import { type AuditLog, type CheckStanding, systemActor } from "../../shared/identity/index.ts";
import type { Events, Logger } from "../../shared/telemetry/index.ts";
import { createCatalogue } from "./deployments/catalogue.ts";
import { createDeployments } from "./deployments/deployments.ts";
import { deploymentRoutes } from "./deployments/routes.ts";
import { createDeploymentStore } from "./deployments/store.ts";
import { createDataPlane, type Observation } from "./inference/data-plane.ts";
import type { Prediction, PredictionListener } from "./inference/prediction.ts";
import { inferenceRoutes } from "./protocols/inference-routes.ts";
import { scoringRoutes } from "./protocols/scoring-routes.ts";
import type { ModelSource } from "./repository/model-source.ts";
import { createRollouts } from "./rollouts/rollouts.ts";
import { rolloutRoutes } from "./rollouts/routes.ts";
import { createRolloutStore } from "./rollouts/store.ts";
import { unattendedRollouts } from "./rollouts/unattended.ts";
import { createSessions, defaultSessionLimits, type SessionLimits } from "./runtime/sessions.ts";
import type { Serving } from "./serving.ts";
import { rowCount } from "./tensors/tensors.ts";
import { comparisonRoutes } from "./traffic/comparison-routes.ts";
import { createLedger } from "./traffic/ledger.ts";
import { createStatistics } from "./traffic/statistics.ts";
import { createLedgerStore } from "./traffic/store.ts";

export interface ServingOptions {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly models: ModelSource;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly checkStanding: CheckStanding;
  readonly logger: Logger;
  readonly events: Pick<Events, "predictionServed" | "deploymentChanged">;
  /** Of the configuration; files of models are kept in `cache/models` below it. */
  readonly dataDirectory: string;
  readonly limits?: Partial<SessionLimits>;
  /** See `scoringRoutes`. */
  readonly rootModel?: string | undefined;
  /** From 0 to below 1; Math.random by default. */
  readonly random?: () => number;
}

export function createServing(options: ServingOptions): Serving {
  const { database, blobs, models, audit, clock, logger, events } = options;
  const store = createDeploymentStore(database);
  const catalogue = createCatalogue({ store, models, clock, logger });
  const told = new Set<string>();
  const sessions = createSessions({
    onChangedFile({ name, version, storageLocation }, reason) {
      const key = `${name}/${version}@${storageLocation}`;
      if (told.has(key)) return;
      told.add(key);
      logger.error({ model: name, version }, reason);
      const subject = `model/${name}/${version}`;
      const entry = { actor: systemActor("serving"), action: "version.files-changed", subject, reason };
      audit.record(entry).catch((error: unknown) => logger.error({ err: error }, "not in the audit log"));
    },
    blobs,
    models,
    clock,
    logger,
    directory: path.join(options.dataDirectory, "cache", "models"),
    limits: { ...defaultSessionLimits, ...options.limits },
  });
  const statistics = createStatistics();
  const ledger = createLedger({ store: createLedgerStore(database, randomUUID()), clock });
  const listeners = new Set<PredictionListener>();
  const observe = (observation: Observation) => {
    statistics.add(observation);
    ledger.add(observation);
    tellOf(observation.prediction, events);
    for (const listener of listeners) {
      try {
        listener(observation.prediction);
      } catch (error) {
        logger.error({ err: error }, "a listener of predictions failed");
      }
    }
  };
  const plane = createDataPlane({
    catalogue,
    sessions,
    clock,
    logger,
    observe,
    random: options.random ?? Math.random,
  });
  const deployments = createDeployments({
    store,
    audit,
    clock,
    events,
    onChange: () => catalogue.expire(),
    checkTarget: async (target, load) => {
      await catalogue.refresh();
      const version = await catalogue.target(target);
      if (load) await sessions.withModel(version, loadForChangeMs, async () => undefined);
    },
  });
  const rollouts = createRollouts({
    store,
    rollouts: createRolloutStore(database),
    deployments,
    ledger,
    async versionOf(aliased) {
      await catalogue.refresh();
      return String((await catalogue.target(aliased)).version);
    },
    audit,
    clock,
    checkStanding: options.checkStanding,
    logger,
  });
  return {
    ...deployments,
    routes: [
      ...inferenceRoutes({ plane, catalogue, sessions, models, statistics }),
      ...scoringRoutes({ plane, rootModel: options.rootModel }),
      ...deploymentRoutes(deployments),
      ...comparisonRoutes({ deployments, ledger }),
      ...rolloutRoutes(rollouts),
    ],
    jobKinds: [],
    timers: [
      { name: "serving-ledger", schedule: "*/10 * * * * *", run: () => ledger.flush() },
      { name: "serving-rollouts", schedule: "*/30 * * * * *", run: () => rollouts.tick() },
      { name: "serving-tidy", schedule: "0 17 * * * *", run: () => ledger.tidy() },
    ],
    onPrediction(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ...unattendedRollouts(rollouts),
    trafficOf: ledger.trafficOf,
    problem: () => sessions.problem,
    flush: () => ledger.flush(),
    close: () => sessions.close(),
  };
}

/** One event for each request that a caller sent; this is on the hottest path. */
function tellOf(prediction: Prediction, events: ServingOptions["events"]): void {
  if (prediction.shadow) return;
  const { deployment, revision, variant, status, durationMs } = prediction;
  const ok = status === "ok";
  events.predictionServed({
    deployment,
    revision,
    variant,
    rows: ok ? rowCount(prediction.inputs) : 0,
    durationMs,
    outcome: ok
      ? "ok"
      : callersFaults.has(prediction.errorKind ?? "internal")
        ? "client_error"
        : "server_error",
  });
}

/** A change of a deployment waits this long for a new version to load. */
const loadForChangeMs = 90_000;
