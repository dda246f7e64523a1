import type { Observation } from "./data-plane.ts";
import { rowCount } from "./tensors.ts";

/** Counts of this instance since it started, as Triton's statistics extension tells them. */
export interface Statistics {
  add(observation: Observation): void;
  of(model: string, version: string): ModelStatistics;
  all(): ModelStatistics[];
}

interface Duration {
  count: number;
  ns: number;
}

/** docs/protocol/extension_statistics.md of triton-inference-server/server. */
export interface ModelStatistics {
  readonly name: string;
  readonly version: string;
  /** Milliseconds since 1970. */
  last_inference: number;
  /** Rows. */
  inference_count: number;
  execution_count: number;
  readonly inference_stats: {
    readonly success: Duration;
    readonly fail: Duration;
    readonly queue: Duration;
    readonly compute_input: Duration;
    readonly compute_infer: Duration;
    readonly compute_output: Duration;
    readonly cache_hit: Duration;
    readonly cache_miss: Duration;
  };
  readonly batch_stats: readonly never[];
}

export function createStatistics(): Statistics {
  const models = new Map<string, ModelStatistics>();
  return {
    add({ prediction, timings, executions }) {
      const key = `${prediction.modelName}\n${prediction.modelVersion}`;
      const known = models.get(key);
      const entry = known ?? empty(prediction.modelName, prediction.modelVersion);
      if (known === undefined) models.set(key, entry);
      const stats = entry.inference_stats;
      entry.last_inference = prediction.atMs;
      if (prediction.status === "error") {
        lasted(stats.fail, prediction.durationMs);
        return;
      }
      entry.inference_count += rowCount(prediction.inputs);
      entry.execution_count += executions;
      lasted(stats.success, prediction.durationMs);
      lasted(stats.queue, timings.loadMs + timings.waitMs);
      lasted(stats.compute_input, timings.decodeMs);
      lasted(stats.compute_infer, timings.runMs);
      lasted(stats.compute_output, 0);
    },
    of: (model, version) => models.get(`${model}\n${version}`) ?? empty(model, version),
    all: () => [...models.values()],
  };
}

function lasted(duration: Duration, ms: number): void {
  duration.count++;
  duration.ns += Math.round(ms * 1e6);
}

function empty(name: string, version: string): ModelStatistics {
  const none = (): Duration => ({ count: 0, ns: 0 });
  return {
    name,
    version,
    last_inference: 0,
    inference_count: 0,
    execution_count: 0,
    inference_stats: {
      success: none(),
      fail: none(),
      queue: none(),
      compute_input: none(),
      compute_infer: none(),
      compute_output: none(),
      cache_hit: none(),
      cache_miss: none(),
    },
    batch_stats: [],
  };
}
