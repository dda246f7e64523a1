import { createDatasets, datasetMigrations } from "../../models/datasets/index.ts";
import { createRegistry, type Registry, registryMigrations } from "../../models/registry/index.ts";
import { createTracking, type Tracking, trackingMigrations } from "../../models/tracking/index.ts";
import { createTraining, trainingMigrations } from "../../models/training/index.ts";
import { call, type TestApplication, testGround } from "./application.ts";

/** An application that takes data sets, trains on them, and keeps runs and models. */
export interface TrainingGround extends TestApplication {
  readonly tracking: Tracking;
  readonly registry: Registry;
  /** Registers content and waits until it is profiled. @returns the version */
  addDataset(name: string, format: string, content: string | Uint8Array): Promise<string>;
  /** Submits a training and runs it to its end. */
  train(spec: object): Promise<TrainedJob>;
}

export interface TrainedJob {
  readonly id: string;
  readonly state: string;
  readonly error: string | null;
  readonly result: {
    readonly runId: string;
    readonly rows: { readonly train: number; readonly holdout: number; readonly withoutTarget: number };
    readonly metrics: Readonly<Record<string, number>>;
    readonly model: { readonly name: string; readonly version: number } | null;
    readonly decision: {
      readonly promoted: boolean;
      readonly reason: string;
      readonly champion: number | null;
      readonly comparison: Readonly<Record<string, number>> | null;
    } | null;
  };
}

/** @param disturb puts a fault between training and the registry */
export async function trainingGround(
  disturb: (registry: Registry) => Registry = (registry) => registry,
  env: Readonly<Record<string, string>> = {},
): Promise<TrainingGround> {
  let tracking: Tracking | undefined;
  let registry: Registry | undefined;
  const ground = await testGround({
    env: { KETLINE_CODE_VERSION: "commit-1234", ...env },
    migrations: [...datasetMigrations, ...trackingMigrations, ...registryMigrations, ...trainingMigrations],
    capabilities: (base) => {
      const datasets = createDatasets(base);
      tracking = createTracking(base);
      registry = createRegistry({ ...base, tracking });
      return [
        datasets,
        tracking,
        registry,
        createTraining({ ...base, datasets, tracking, registry: disturb(registry) }),
      ];
    },
  });
  if (tracking === undefined || registry === undefined) throw new Error("The capabilities were not made.");
  return {
    ...ground,
    tracking,
    registry,
    async addDataset(name, format, content) {
      const answer = await call(
        ground.app,
        "POST",
        `/api/v1/datasets/${name}/versions?format=${format}`,
        content,
      );
      if (answer.status !== 202) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
      await ground.runner.drain();
      return (answer.body as { version: { version: string } }).version.version;
    },
    async train(spec) {
      const answer = await call(ground.app, "POST", "/api/v1/training", spec);
      if (answer.status !== 202) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
      const { id } = answer.body as { id: string };
      await ground.runner.drain();
      return (await call(ground.app, "GET", `/api/v1/jobs/${id}`)).body as TrainedJob;
    },
  };
}
