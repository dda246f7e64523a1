import type { Logger } from "pino";
import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import { conflict } from "../../shared/errors.ts";
import type { JobContext, JobKind, WorkerPool } from "../../shared/jobs/index.ts";
import type { WindowProfile } from "../../shared/statistics/index.ts";
import type { Events } from "../../shared/telemetry/index.ts";
import type { Serving } from "../serving/index.ts";
import { hourMs, hourOf } from "./capture/captured.ts";
import { capturedWindows, profileHours, type WindowCounts } from "./capture/windows.ts";
import type { DriftRules } from "./drift/drift.ts";
import type { JudgeTask } from "./drift/judge.worker.ts";
import { loadReference, type Reference, type ReferenceSources, sliceWindow } from "./drift/references.ts";
import { labelledWindow } from "./labels/labelled-window.ts";
import type { LabelStore } from "./labels/store.ts";
import type { Monitors } from "./monitors/monitors.ts";
import { type Actions, actionOf, alertMessage } from "./results/actions.ts";
import type { ResultStore } from "./results/result-store.ts";
import { observe } from "./results/signals.ts";
import {
  type DatasetSlice,
  type DriftReport,
  EvaluateSpec,
  type Monitor,
  type MonitorResult,
  type SignalName,
} from "./schemas.ts";
import { trafficIn } from "./traffic.ts";

export interface RunOptions extends ReferenceSources {
  readonly blobs: BlobStore;
  readonly workers: WorkerPool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: Pick<Events, "driftDetected">;
  readonly monitors: Pick<Monitors, "get">;
  readonly results: ResultStore;
  readonly serving: Pick<Serving, "trafficOf">;
  readonly labels: LabelStore;
  readonly actions: Actions;
  /** The moment before which captured predictions are removed; null when they are kept for ever. */
  readonly keptSinceMs: () => number | null;
  /** Writes out what this instance has captured, so that a run sees it. */
  readonly flush: () => Promise<void>;
}

export const capturedSeries = "capture";

export function datasetSeries(dataset: string): string {
  return `dataset:${dataset}`;
}

/** What a run came to: the head of its result. */
export interface RunOutcome {
  readonly monitor: string;
  readonly series: string;
  readonly windowEndMs: number;
  readonly verdict: DriftReport["verdict"];
  readonly driftedColumns: readonly string[];
  readonly rows: number;
}

/** Judges one window of one monitor. Running it again for the same window and data changes nothing. */
export function evaluateJob(options: RunOptions): JobKind<EvaluateSpec, RunOutcome> {
  return {
    kind: "monitoring.evaluate",
    spec: EvaluateSpec,
    role: "contributor",
    unneeded: async (ids) => ids,
    run: async (context) => {
      const monitor = await options.monitors.get(context.spec.monitor);
      const { window } = context.spec;
      const found =
        window === undefined
          ? await judgeCaptured(options, context, monitor)
          : await judgeSlice(options, context, monitor, window);
      return finish(options, context, monitor, found);
    },
  };
}

/** The end of the captured window that contains a moment: windows end at full hours. */
export function windowEndFor(atMs: number): number {
  return hourOf(atMs - 1) + hourMs;
}

type Findings = Pick<
  MonitorResult,
  | "series"
  | "windowStartMs"
  | "windowEndMs"
  | "model"
  | "modelVersion"
  | "otherVersions"
  | "reference"
  | "captured"
  | "drift"
  | "traffic"
  | "labelled"
>;

async function judgeCaptured(
  options: RunOptions,
  context: JobContext<EvaluateSpec>,
  monitor: Monitor,
): Promise<Findings> {
  await options.flush();
  const windowEndMs = windowEndFor(context.spec.windowEndMs ?? options.clock());
  const windowStartMs = windowEndMs - monitor.windowHours * hourMs;
  const fromMs = await firstKept(options, context, monitor, windowStartMs, windowEndMs);
  const windows = await capturedWindows(options, monitor.target, fromMs, windowEndMs);
  const [window, ...others] = windows;
  const traffic =
    "deployment" in monitor.target
      ? await trafficIn(options.serving, monitor.target.deployment, windowStartMs, windowEndMs)
      : null;
  const base = {
    series: capturedSeries,
    windowStartMs,
    windowEndMs,
    otherVersions: others.map((other) => other.version),
    traffic,
  };
  if (window === undefined) {
    context.log("Nothing was captured in this window.");
    const nothing = { model: null, modelVersion: null, reference: "none", captured: null, labelled: null };
    return { ...base, ...nothing, drift: emptyReport("Nothing was captured in this window.") };
  }
  const reference = await loadReference(options, monitor.reference, window, context.signal);
  context.log(`Judging version ${window.version} of "${window.model}" against ${reference.source}.`);
  const { parts, counts } = await profileHours(options, reference.profile, window, context.signal, (done) =>
    context.progress(0.8 * done, "reading captured hours"),
  );
  return {
    ...base,
    model: window.model,
    modelVersion: window.version,
    reference: reference.source,
    captured: { ...counts } satisfies WindowCounts,
    drift: await judge(options, context, monitor, reference, parts),
    labelled: await labelledWindow(options, window, context.signal),
  };
}

/**
 * From when on there are predictions of a window.
 *
 * @throws conflict when there are none any more, or when a result that was made from all of them would be replaced by one
 *   from what is left
 */
async function firstKept(
  { keptSinceMs, results }: RunOptions,
  context: JobContext<EvaluateSpec>,
  monitor: Monitor,
  fromMs: number,
  toMs: number,
): Promise<number> {
  const keptMs = hourOf(keptSinceMs() ?? Number.NEGATIVE_INFINITY);
  if (fromMs >= keptMs) return fromMs;
  const since = new Date(keptMs).toISOString();
  if (toMs <= keptMs || (await results.wasJudged(monitor.name, capturedSeries, toMs))) {
    throw conflict(
      `Predictions are kept since ${since}; the window that ended at ${new Date(toMs).toISOString()} began before, and ` +
        "cannot be judged again. Give a windowEndMs that lies later.",
    );
  }
  context.log(`Predictions are kept since ${since}: the window is judged by those.`);
  return keptMs;
}

async function judgeSlice(
  options: RunOptions,
  context: JobContext<EvaluateSpec>,
  monitor: Monitor,
  slice: DatasetSlice,
): Promise<Findings> {
  await options.flush();
  const { target } = monitor;
  const version =
    "model" in target && target.version !== undefined
      ? { model: target.model, version: target.version }
      : await servedVersion(options, monitor);
  const reference = await loadReference(options, monitor.reference, version, context.signal);
  context.log(`Judging a slice of "${slice.dataset}" against ${reference.source}.`);
  const window = await sliceWindow(options, reference.profile, slice, context.signal);
  const windowEndMs = slice.toMs ?? options.clock();
  return {
    series: datasetSeries(slice.dataset),
    windowStartMs: slice.fromMs ?? 0,
    windowEndMs,
    model: version?.model ?? null,
    modelVersion: version?.version ?? null,
    otherVersions: [],
    reference: reference.source,
    captured: null,
    drift: await judge(options, context, monitor, reference, [window]),
    traffic: null,
    labelled: null,
  };
}

/** The version that most of the target's recent requests were answered by. */
async function servedVersion(
  options: RunOptions,
  monitor: Monitor,
): Promise<{ model: string; version: string } | null> {
  const toMs = windowEndFor(options.clock());
  const fromMs = toMs - monitor.windowHours * hourMs;
  const [window] = await capturedWindows(options, monitor.target, fromMs, toMs);
  return window ?? null;
}

async function judge(
  { workers }: RunOptions,
  { signal }: JobContext<EvaluateSpec>,
  monitor: Monitor,
  { profile: reference }: Reference,
  parts: readonly WindowProfile[],
): Promise<DriftReport> {
  const rules: DriftRules = {
    thresholds: monitor.thresholds,
    minimumRows: monitor.minimumRows,
    // A hashed field has other levels than the reference, and a dropped one has none.
    columns: (monitor.columns ?? reference.columns.map((column) => column.name)).filter(
      (name) => !isHidden(monitor, name),
    ),
  };
  return workers.run<JudgeTask, DriftReport>(
    new URL("./drift/judge.worker.ts", import.meta.url),
    { reference, parts, rules },
    { signal },
  );
}

function isHidden({ capture }: Monitor, column: string): boolean {
  const field = column.replace(/^output:/, "").replace(/\[\d+\]$/, "");
  return capture.drop.includes(field) || capture.hash.includes(field);
}

async function finish(
  options: RunOptions,
  context: JobContext<EvaluateSpec>,
  monitor: Monitor,
  findings: Findings,
): Promise<RunOutcome> {
  const { clock, results, actions, events } = options;
  const nowMs = clock();
  const signals = observe(monitor.thresholds, findings.drift, findings.traffic, findings.labelled);
  const result = {
    monitor: monitor.name,
    monitorRevision: monitor.revision,
    evaluatedMs: nowMs,
    ...findings,
    signals,
  };
  // A monitor that was deleted meanwhile has no results.
  if ((await options.monitors.get(monitor.name)).revision !== monitor.revision) {
    throw conflict(`The monitor "${monitor.name}" was changed while it was evaluated; evaluate it again.`);
  }
  const raised = await results.record(result, {
    monitor: monitor.name,
    series: findings.series,
    windowEndMs: findings.windowEndMs,
    nowMs,
    rule: monitor.alert,
    observations: signals,
    alertOf: (observation, muted) => ({
      message: alertMessage(observation, findings.drift),
      action: actionOf(monitor, observation.signal, muted),
    }),
  });
  const { target } = monitor;
  const deployment = "deployment" in target ? target.deployment : null;
  for (const { signal, value, threshold: limit } of raised) {
    if (!driftSignals.has(signal)) continue;
    events.driftDetected({ monitor: monitor.name, deployment, signal, value, limit });
  }
  await actions.perform(monitor);
  const { verdict, driftedColumns, rows, reason } = findings.drift;
  context.log(`${verdict}: ${reason}`);
  const { series, windowEndMs } = findings;
  return { monitor: monitor.name, series, windowEndMs, verdict, driftedColumns, rows };
}

const driftSignals: ReadonlySet<SignalName> = new Set(["data_drift", "prediction_drift"]);

function emptyReport(reason: string): DriftReport {
  return {
    verdict: "no_data",
    reason,
    rows: 0,
    judgedColumns: 0,
    driftedColumns: [],
    driftedShare: null,
    predictionVerdict: "no_data",
    violations: 0,
    columns: [],
  };
}
