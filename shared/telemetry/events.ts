import { type Attributes, type Meter, metrics } from "@opentelemetry/api";
import type { Logger } from "pino";

/** What happens in Ketline that operators watch: each is a line in the log and counts in metrics. */
export interface Events {
  predictionServed(event: {
    readonly deployment: string;
    readonly revision: number;
    readonly variant: string;
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
  driftDetected(event: {
    readonly monitor: string;
    readonly deployment: string;
    readonly signal: string;
    readonly value: number;
    readonly limit: number;
  }): void;
  deploymentChanged(event: {
    readonly deployment: string;
    readonly revision: number;
    readonly change: string;
    readonly actor: string;
    readonly reason: string | null;
  }): void;
  datasetRegistered(event: {
    readonly dataset: string;
    readonly version: string;
    readonly rows: number;
    readonly sizeBytes: number;
  }): void;
  quantumJobEnded(event: {
    readonly jobId: string;
    readonly workspace: string;
    readonly target: string;
    readonly state: string;
    readonly shots: number | null;
    readonly durationMs: number;
  }): void;
}

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
    description: "Dataset versions registered",
  });
  const quantumJobs = meter.createCounter("ketline.quantum.jobs", {
    unit: "{job}",
    description: "Quantum jobs ended",
  });
  const quantumDuration = seconds(meter, "ketline.quantum.job.duration", "Time a quantum job took");
  const shots = meter.createCounter("ketline.quantum.shots", { unit: "{shot}", description: "Shots run" });
  const tell = (event: string, members: object): void => logger.info({ event, ...members }, event);

  return {
    predictionServed(event) {
      const { deployment, variant, outcome } = event;
      const attributes: Attributes = { deployment, variant, outcome };
      predictions.add(1, attributes);
      rows.add(event.rows, attributes);
      predictionDuration.record(event.durationMs / 1000, attributes);
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
      drifts.add(1, { monitor: event.monitor, deployment: event.deployment, signal: event.signal });
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
