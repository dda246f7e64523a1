import type { BlobBody } from "../../shared/blobs/index.ts";
import type { Capability } from "../../shared/capability.ts";
import type { Actor } from "../../shared/identity/index.ts";

/** MLflow's experiments, runs, metrics, artifacts and logged models: what other capabilities may do with them. */
export interface Tracking extends Capability {
  /** The id of the experiment of that name, made when there is none. @throws invalid when it is deleted. */
  ensureExperiment(name: string, actor: Actor): Promise<string>;
  /** Starts a run in the state RUNNING. @throws notFound or invalid when the experiment is not there or deleted. */
  createRun(run: NewRun): Promise<{ readonly runId: string; readonly artifactRoot: string }>;
  /**
   * Makes a run or a logged model under the id that it has on another server; nothing when it is there already.
   *
   * @returns whether the experiment has it now: false when the id is taken in another experiment
   * @throws invalid for an id that none can have; notFound or invalid when the experiment is not there or deleted.
   */
  adoptRun(run: AdoptedRun): Promise<boolean>;
  adoptLoggedModel(model: AdoptedModel): Promise<boolean>;
  /** Writes all of it in one transaction, or nothing. @throws invalid for a changed parameter or a bad key. */
  logBatch(runId: string, batch: LogBatch): Promise<void>;
  /** Names a data set as an input of the run; the same name and digest again changes nothing. */
  logDataset(runId: string, dataset: RunDataset): Promise<void>;
  /**
   * Stores a file under the run's artifacts.
   *
   * @param path relative to the run's artifact root, `/`-separated
   * @throws invalid for a path that leaves the root, or when the run's artifacts are not kept by Ketline.
   */
  putArtifact(runId: string, path: string, body: BlobBody, options?: ArtifactOptions): Promise<void>;
  endRun(runId: string, status: "FINISHED" | "FAILED" | "KILLED"): Promise<void>;
  /**
   * Ends a run that is still RUNNING, with the reason in its tag `ketline.end_reason`. Nothing when it has ended, is
   * deleted, or was never made.
   */
  failRun(runId: string, reason: string, status?: "FAILED" | "KILLED"): Promise<void>;
  /**
   * Where the files behind an artifact URI lie: a blob key prefix without a trailing slash.
   *
   * @param uri `runs:/<run>/<path>`, `mlflow-artifacts:/<path>` or `models:/m-<id>/<path>`
   * @throws notFound for an unknown run or model, invalid for another scheme or a path that leaves its root.
   */
  resolveArtifacts(uri: string): Promise<string>;
  /** The same place as a `mlflow-artifacts:` URI (or a foreign one, of an experiment with its own location). */
  resolveArtifactUri(uri: string): Promise<string>;
  /** Of these runs those that are there and not deleted. */
  activeRuns(runIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** The run that made a logged model, and where its files are. @throws notFound. */
  getLoggedModel(modelId: string): Promise<LoggedModelRef>;
  /** Notes on a logged model that it became a version of a registered model (tag `mlflow.modelVersions`). */
  noteModelVersion(modelId: string, name: string, version: number): Promise<void>;
}

export interface NewRun {
  /** Drawn at random when not given. A run of this id that is there already is the one. */
  readonly runId?: string;
  readonly experimentId: string;
  /** A random name of two words and a number when not given. */
  readonly name?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly actor: Actor;
}

export interface AdoptedRun {
  readonly runId: string;
  readonly experimentId: string;
  readonly userId: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly startMs: number;
}

export interface AdoptedModel {
  readonly modelId: string;
  readonly experimentId: string;
  readonly name: string;
  readonly modelType: string;
  /** Empty for none. */
  readonly sourceRunId: string;
}

export interface LogBatch {
  readonly metrics?: readonly LoggedMetric[];
  readonly params?: Readonly<Record<string, string>>;
  readonly tags?: Readonly<Record<string, string>>;
}

export interface LoggedMetric {
  readonly key: string;
  /** NaN is kept; infinities are kept as the largest finite numbers. */
  readonly value: number;
  /** Milliseconds since 1970; now when not given. */
  readonly timestamp?: number;
  /** 0 when not given. */
  readonly step?: number;
}

export interface RunDataset {
  readonly name: string;
  /** At most 36 characters. */
  readonly digest: string;
  readonly sourceType: string;
  readonly source: string;
  /** JSON text. */
  readonly schema?: string;
  /** JSON text. */
  readonly profile?: string;
  /** What the data set was for: `training`, `evaluation`, … */
  readonly context: string;
}

export interface ArtifactOptions {
  readonly contentType?: string;
  readonly signal?: AbortSignal;
}

export interface LoggedModelRef {
  readonly modelId: string;
  readonly experimentId: string;
  readonly name: string;
  readonly sourceRunId: string | null;
  readonly artifactUri: string;
}
