import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import type { z } from "zod";
import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Capability } from "../../shared/capability.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Config } from "../../shared/config.ts";
import type { Database } from "../../shared/database/index.ts";
import { invalid, notFound } from "../../shared/errors.ts";
import { type Actor, type AuditLog, type CheckStanding, systemActor } from "../../shared/identity/index.ts";
import type { Job, Jobs, WorkerPool } from "../../shared/jobs/index.ts";
import { keptSince } from "../../shared/retention.ts";
import type { Events } from "../../shared/telemetry/index.ts";
import type { Resolve } from "../../shared/webhooks/index.ts";
import { type Datasets, type FindUses, isMeant } from "../datasets/index.ts";
import type { Registry } from "../registry/index.ts";
import type { Serving } from "../serving/index.ts";
import { createRollbackStore } from "./bake/rollback-store.ts";
import { rollbackRoutes } from "./bake/routes.ts";
import { createWatch } from "./bake/watch.ts";
import { createCapture } from "./capture/capture.ts";
import { directly, hourMs, hourOf } from "./capture/captured.ts";
import { createLabelStore } from "./labels/store.ts";
import { createMonitors, type MonitorChange, type Monitors } from "./monitors/monitors.ts";
import { createMonitorStore } from "./monitors/store.ts";
import { createNotifications } from "./notifications/create-notifications.ts";
import type { AlertEvents } from "./notifications/schemas.ts";
import { type Actions, createActions, type Retrain } from "./results/actions.ts";
import { type AlertFilter, type AlertPosition, alertOf, createAlertStore } from "./results/alert-store.ts";
import { severityChart } from "./results/chart.ts";
import { createResultStore, type ResultPosition } from "./results/result-store.ts";
import { removePredictions, removeReferences } from "./retention.ts";
import { monitoringRoutes } from "./routes.ts";
import { capturedSeries, evaluateJob, windowEndFor } from "./runs.ts";
import type {
  Alert,
  CaptureStatus,
  DatasetSlice,
  LabelInput,
  Monitor,
  MonitorResult,
  SignalState,
} from "./schemas.ts";

export interface MonitoringOptions {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly jobs: Jobs;
  readonly workers: WorkerPool;
  readonly clock: Clock;
  readonly checkStanding: CheckStanding;
  readonly audit: AuditLog;
  readonly logger: Logger;
  readonly events: Pick<Events, "driftDetected">;
  readonly config: Pick<Config, "codeVersion" | "retention" | "webhooks" | "publicUrl">;
  readonly serving: Pick<
    Serving,
    | "onPrediction"
    | "getDeployment"
    | "listDeployments"
    | "listRevisions"
    | "rollback"
    | "markRevision"
    | "trafficOf"
  >;
  readonly registry: Pick<Registry, "artifactPrefix" | "getVersion" | "listVersions">;
  readonly datasets: Pick<Datasets, "getVersion" | "withRows">;
  /** Keys the hashes of captured fields, and seals the secrets of alert subscriptions. */
  readonly signingKey: string;
  /** Starts a retraining when an alert's policy asks for it; without it such alerts only notify. */
  readonly retrain?: Retrain;
  /** Finds the addresses of alert subscriptions; the system's resolver by default. */
  readonly resolve?: Resolve;
  /** Stands in the names of captured blobs; drawn at random when not given, and never shared. */
  readonly instanceId?: string;
}

/** Which window is judged; the one that ends with this hour when nothing is given. */
export interface WindowRequest {
  readonly windowEndMs?: number | undefined;
  readonly window?: DatasetSlice | undefined;
}

/** Watches what is served: capture, drift, quality, alerts and what follows from them. */
export interface Monitoring extends Capability {
  /** Starts a job that judges one window. @throws notFound for an unknown monitor. */
  evaluate(monitor: string, request: WindowRequest, actor: Actor): Promise<Job>;
  /** Newest window first. @throws notFound for an unknown monitor. */
  results(
    monitor: string,
    series: string | undefined,
    before: ResultPosition | undefined,
    limit: number,
  ): Promise<readonly MonitorResult[]>;
  /** Monitors whose reference is a version of a data set. */
  readonly datasetUses: FindUses;
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** What the routes need beside that. */
export interface MonitoringOperations extends Monitoring {
  readonly monitors: Monitors;
  removeMonitor(name: string, change: MonitorChange): Promise<void>;
  /** All that a window was judged to be, the newest first. @throws notFound when it was never judged. */
  resultVersions(monitor: string, series: string, windowEndMs: number): Promise<readonly MonitorResult[]>;
  latestResult(monitor: string, series: string | undefined): Promise<MonitorResult>;
  signals(monitor: string): Promise<readonly SignalState[]>;
  chart(monitor: string, series: string | undefined, windows: number): Promise<string>;
  alerts(filter: AlertFilter, after: AlertPosition | undefined, limit: number): Promise<readonly Alert[]>;
  alert(id: string): Promise<Alert>;
  /** What happened to an alert, the oldest first. @throws notFound */
  alertEvents(id: string): Promise<z.infer<typeof AlertEvents>["items"]>;
  acknowledge(id: string, actor: Actor, reason: string | undefined): Promise<Alert>;
  mute(id: string, untilMs: number, actor: Actor, reason: string): Promise<Alert>;
  addLabels(labels: readonly LabelInput[]): Promise<number>;
  captureStatus(monitor: string): Promise<CaptureStatus>;
}

const flushEveryMs = 2000;
/** Windows that ended longer ago are not made up for. */
const maxMissedMs = 31 * 24 * hourMs;

export function createMonitoring(options: MonitoringOptions): Monitoring {
  const { database, blobs, jobs, clock, audit, checkStanding, logger, serving } = options;
  const instance = options.instanceId ?? randomUUID().slice(0, 8);
  const source = options.config.publicUrl ?? "/ketline";
  const results = createResultStore(database, source);
  const alerts = createAlertStore(database, source);
  const notifications = createNotifications({ ...options, source });
  const rollbacks = createRollbackStore(database);
  const labels = createLabelStore(database);
  const monitors = createMonitors({ ...options, store: createMonitorStore(database) });
  const { perform } = createActions({ alerts, logger, checkStanding, retrain: options.retrain });
  const actions: Actions = {
    async perform(monitor) {
      notifications.wake();
      await perform(monitor);
    },
  };
  let flushedMs = Number.NEGATIVE_INFINITY;
  const capture = createCapture({
    blobs,
    logger,
    rulesOf: monitors.rulesOf,
    hashKey: options.signingKey,
    codeVersion: options.config.codeVersion,
    instance,
  });
  const stopListening = serving.onPrediction((prediction) => capture.take(prediction));

  const writeAll = async (): Promise<void> => {
    flushedMs = clock();
    await capture.flush();
  };

  /** After each invocation on Functions: a blob and a row for every single request would cost more than the request. */
  const flush = async (): Promise<void> => {
    if (clock() - flushedMs >= flushEveryMs) await writeAll();
  };

  const keptSinceMs = () => keptSince(options.config.retention.predictionDays, clock());

  const removeOld = async (): Promise<void> => {
    const beforeMs = keptSinceMs();
    if (beforeMs !== null) await removePredictions({ ...options, labels }, beforeMs);
    await removeReferences({ ...options, labels });
  };

  const evaluation = evaluateJob({
    ...options,
    monitors,
    results,
    labels,
    actions,
    keptSinceMs,
    flush: writeAll,
  });

  /** By monitor: the end of the last window that was asked for, so that one that fails is not asked for every hour. */
  const asked = new Map<string, number>();

  /** The ends of windows that are over and have no result yet, the oldest first: those too that nobody was here for. */
  const dueWindows = async (monitor: Monitor): Promise<readonly number[]> => {
    const everyMs = monitor.everyHours * hourMs;
    const newestMs = Math.floor(hourOf(clock()) / everyMs) * everyMs;
    const last = await results.lastWindowEnd(monitor.name, capturedSeries);
    const sinceMs = Math.max(
      last ?? monitor.createdMs,
      asked.get(monitor.name) ?? 0,
      keptSinceMs() ?? 0,
      newestMs - maxMissedMs,
    );
    const due: number[] = [];
    for (let endMs = newestMs; endMs > sinceMs; endMs -= everyMs) due.push(endMs);
    return due.reverse();
  };

  const evaluateDue = async (): Promise<void> => {
    for (const monitor of await monitors.all()) {
      if (!monitor.enabled) continue;
      for (const windowEndMs of await dueWindows(monitor)) {
        await jobs.submit(
          evaluation,
          { monitor: monitor.name, windowEndMs },
          {
            actor: systemActor("monitoring"),
            idempotencyKey: `${monitor.name}:${monitor.revision}:${windowEndMs}`,
          },
        );
        asked.set(monitor.name, windowEndMs);
      }
    }
  };

  const watchAll = createWatch({ serving, rollbacks, alerts, clock, checkStanding, logger }, monitors.all);

  const findAlert = async (id: string): Promise<Alert> => {
    const row = await alerts.alert(id);
    if (row === undefined) throw notFound(`There is no alert "${id}".`);
    return alertOf(row);
  };

  const resultsOf: Monitoring["results"] = async (monitor, series, before, limit) => {
    await monitors.get(monitor);
    const rows = await results.results(monitor, series, before, limit);
    return rows.map((row) => JSON.parse(row.result));
  };

  const monitoring: Omit<MonitoringOperations, "routes"> = {
    monitors,
    jobKinds: [evaluation],
    timers: [
      { name: "monitoring-evaluate", schedule: "0 7 * * * *", run: evaluateDue },
      {
        name: "monitoring-watch",
        schedule: "*/10 * * * * *",
        async run() {
          await watchAll();
          notifications.wake();
        },
      },
      { name: "monitoring-flush", schedule: "0 * * * * *", run: writeAll },
      // Every hour, as an hour of busy instances may have written ten thousand blobs.
      { name: "monitoring-retention", schedule: "0 51 * * * *", run: removeOld },
      ...notifications.timers,
    ],
    flush,

    async *datasetUses(doomed) {
      for (const { name, reference } of await monitors.all()) {
        if (reference.kind !== "dataset" || reference.dataset !== doomed.dataset) continue;
        if (isMeant(doomed, reference.version)) yield `the monitor "${name}"`;
      }
    },

    async close() {
      stopListening();
      await notifications.close?.();
      await writeAll();
    },

    async evaluate(name, { windowEndMs, window }, actor) {
      await monitors.get(name);
      if (windowEndMs !== undefined && windowEndMs > windowEndFor(clock())) {
        throw invalid(`windowEndMs is ${windowEndMs}, which lies in the future.`, { field: "windowEndMs" });
      }
      const spec = {
        monitor: name,
        ...(window === undefined ? { windowEndMs: windowEndMs ?? clock() } : { window }),
      };
      return jobs.submit(evaluation, spec, { actor });
    },

    async removeMonitor(name, change) {
      await monitors.remove(name, change);
      await alerts.forget(name, clock());
    },

    results: resultsOf,

    async resultVersions(name, series, windowEndMs) {
      await monitors.get(name);
      const versions = await results.versions(name, series, windowEndMs);
      if (versions.length > 0) return versions;
      const at = new Date(windowEndMs).toISOString();
      throw notFound(
        `The monitor "${name}" has no result for the window of "${series}" that ended at ${at}.`,
      );
    },

    async latestResult(name, series) {
      const [latest] = await resultsOf(name, series, undefined, 1);
      if (latest === undefined) {
        const of = series === undefined ? "" : ` of the series "${series}"`;
        throw notFound(`The monitor "${name}" has no result${of} yet.`);
      }
      return latest;
    },

    async signals(name) {
      await monitors.get(name);
      return alerts.signals(name);
    },

    async chart(name, series, windows) {
      const latest = await resultsOf(name, series, undefined, windows);
      const shown =
        series ??
        (latest.some((each) => each.series === capturedSeries) ? capturedSeries : latest[0]?.series);
      const drawn =
        series === undefined && shown !== undefined
          ? await resultsOf(name, shown, undefined, windows)
          : latest;
      return severityChart(`${name}: drift`, drawn.toReversed());
    },

    alerts: async (filter, after, limit) => (await alerts.alerts(filter, after, limit)).map(alertOf),
    alert: findAlert,

    async alertEvents(id) {
      await findAlert(id);
      const events = await alerts.events(id);
      return events.map(({ kind, at_ms, actor, reason }) => ({ kind, atMs: at_ms, by: actor, reason }));
    },

    async acknowledge(id, actor, reason) {
      const before = await findAlert(id);
      await alerts.acknowledge(id, { name: actor.name, reason: reason ?? null }, clock());
      notifications.wake();
      await audit.record({
        actor,
        action: "alert.acknowledge",
        subject: `alert/${id}`,
        before: { acknowledgedBy: before.acknowledgedBy },
        after: { acknowledgedBy: before.acknowledgedBy ?? actor.name },
        ...(reason === undefined ? {} : { reason }),
      });
      return findAlert(id);
    },

    async mute(id, untilMs, actor, reason) {
      const alert = await findAlert(id);
      await alerts.mute(alert, untilMs, { name: actor.name, reason }, clock());
      notifications.wake();
      await audit.record({
        actor,
        action: "alert.mute",
        subject: `monitor/${alert.monitor}`,
        before: { signal: alert.signal, mutedUntilMs: alert.mutedUntilMs },
        after: { signal: alert.signal, mutedUntilMs: untilMs },
        reason,
      });
      return findAlert(id);
    },

    addLabels: (added) => labels.upsert(added, clock()),

    async captureStatus(name) {
      const monitor = await monitors.get(name);
      const deployment = "deployment" in monitor.target ? monitor.target.deployment : directly;
      return { deployment, sampleRate: monitor.capture.sampleRate, ...capture.counts(deployment) };
    },
  };
  const routes: MonitoringOperations["routes"] = [];
  const complete: MonitoringOperations = Object.assign(monitoring, { routes });
  return Object.assign(complete, {
    routes: [...monitoringRoutes(complete), ...rollbackRoutes(rollbacks), ...notifications.routes],
  });
}
