import { type Attributes, createNoopMeter, type Meter, metrics } from "@opentelemetry/api";
import type { Logger } from "pino";

/** What happens in Ketline that operators watch: each is a line in the log and counts in metrics. */
export interface Events {
  /** A request was answered, or failed at the model that it went to; copies for shadows are none. */
  predictionServed(event: {
    /** Null, as the revision and the variant, when a registered model was asked without a deployment. */
    readonly deployment: string | null;
    readonly revision: number | null;
    readonly variant: string | null;
    /** Zero when it failed. */
    readonly rows: number;
    readonly durationMs: number;
    readonly outcome: "ok" | "client_error" | "server_error";
  }): void;
  jobEnded(event: {
    readonly jobId: string;
    readonly kind: string;
    readonly state: "succeeded" | "failed" | "cancelled";
    readonly attempts: number;
    /** From the first start to the end; zero when it never started. */
    readonly durationMs: number;
    /** From its creation to its first start, or to its end when it never started. */
    readonly waitedMs: number;
  }): void;
  /** An alert was raised for a drift. */
  driftDetected(event: {
    readonly monitor: string;
    /** Null when the monitor watches a registered model, whatever deployment serves it. */
    readonly deployment: string | null;
    readonly signal: string;
    readonly value: number;
    readonly limit: number;
  }): void;
  /** A revision was made, by hand or by a rollout. */
  deploymentChanged(event: {
    readonly deployment: string;
    readonly revision: number;
    readonly change: "create" | "change" | "rollback" | "delete";
    readonly actor: string;
    readonly reason: string;
  }): void;
  /** A version has been read, meets its expectations and may be used. */
  datasetRegistered(event: {
    readonly dataset: string;
    readonly datasetVersion: string;
    readonly rows: number;
    readonly sizeBytes: number;
  }): void;
  quantumJobEnded(event: {
    readonly jobId: string;
    readonly workspace: string;
    readonly target: string;
    readonly state: "succeeded" | "failed" | "cancelled" | "refused";
    /** Whose results were read; null when there are none. */
    readonly shots: number | null;
    /** From its submission to its end, with the time in the workspace's queue. */
    readonly durationMs: number;
  }): void;
}

/** Stands in attributes for the deployment and the variant of requests that had none: there may be thousands of models. */
const directly = "_direct";

/** Metrics carry only what has few values: an id in an attribute would make one time series of each. */
export function createEvents(logger: Logger, meter: Meter = metrics.getMeter("ketline")): Events {
  const predictions = meter.createCounter("ketline.predictions", {
    unit: "{request}",
    description: "Prediction requests answered",
  });
  const rows = meter.createCounter("ketline.prediction.rows", {
    unit: "{row}",
    description: "Rows predicted",
  });
  const predictionDuration = seconds(
    meter,
    "ketline.prediction.duration",
    "Time to answer a prediction request",
  );
  const jobs = meter.createCounter("ketline.jobs", { unit: "{job}", description: "Jobs ended" });
  const jobDuration = seconds(meter, "ketline.job.duration", "Time from a job's start to its end");
  const jobWait = seconds(meter, "ketline.job.wait", "Time from a job's creation to its start");
  const drifts = meter.createCounter("ketline.drifts", { unit: "{drift}", description: "Drifts detected" });
  const changes = meter.createCounter("ketline.deployment.changes", {
    unit: "{change}",
    description: "Changes of what is served",
  });
  const datasets = meter.createCounter("ketline.dataset.versions", {
    unit: "{version}",
    description: "Dataset versions that became ready",
  });
  const quantumJobs = meter.createCounter("ketline.quantum.jobs", {
    unit: "{job}",
    description: "Quantum jobs ended",
  });
  const quantumDuration = seconds(
    meter,
    "ketline.quantum.job.duration",
    "Time from a quantum job's submission to its end",
  );
  const shots = meter.createCounter("ketline.quantum.shots", { unit: "{shot}", description: "Shots run" });
  const measured = meter !== createNoopMeter();
  const tell = (event: string, members: object): void => logger.info({ event, ...members }, event);

  return {
    predictionServed(event) {
      if (measured) {
        const { deployment, variant, outcome } = event;
        const attributes: Attributes = {
          deployment: deployment ?? directly,
          variant: variant ?? directly,
          outcome,
        };
        predictions.add(1, attributes);
        rows.add(event.rows, attributes);
        predictionDuration.record(event.durationMs / 1000, attributes);
      }
      // The access log has a line for it already; this one is for looking closer.
      if (logger.isLevelEnabled("debug")) {
        logger.debug({ event: "prediction.served", ...event }, "prediction.served");
      }
    },
    jobEnded(event) {
      const attributes: Attributes = { kind: event.kind, state: event.state };
      jobs.add(1, attributes);
      jobDuration.record(event.durationMs / 1000, attributes);
      jobWait.record(event.waitedMs / 1000, { kind: event.kind });
      tell("job.ended", event);
    },
    driftDetected(event) {
      const { monitor, deployment, signal } = event;
      drifts.add(1, { monitor, signal, ...(deployment === null ? {} : { deployment }) });
      tell("drift.detected", event);
    },
    deploymentChanged(event) {
      changes.add(1, { deployment: event.deployment, change: event.change });
      tell("deployment.changed", event);
    },
    datasetRegistered(event) {
      datasets.add(1, {});
      tell("dataset.registered", event);
    },
    quantumJobEnded(event) {
      const attributes: Attributes = { workspace: event.workspace, target: event.target, state: event.state };
      quantumJobs.add(1, attributes);
      quantumDuration.record(event.durationMs / 1000, attributes);
      if (event.shots !== null) shots.add(event.shots, attributes);
      tell("quantum.job.ended", event);
    },
  };
}

/** From a millisecond to an hour: the SDK's default edges are made for milliseconds. */
const secondsEdges = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600,
];

export function seconds(meter: Meter, name: string, description: string) {
  return meter.createHistogram(name, {
    unit: "s",
    description,
    advice: { explicitBucketBoundaries: secondsEdges },
  });
}
