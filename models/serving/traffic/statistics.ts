import type { Observation } from "../inference/data-plane.ts";
import { rowCount } from "../tensors/tensors.ts";

/** Counts of this instance since it started, as Triton's statistics extension tells them. */
export interface Statistics {
  add(observation: Observation): void;
  of(model: string, version: string): ModelStatistics;
  all(): ModelStatistics[];
}

interface Duration {
  readonly count: number;
  readonly ns: number;
}

/** docs/protocol/extension_statistics.md of triton-inference-server/server. */
export interface ModelStatistics {
  readonly name: string;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly last_inference: number;
  /** Rows. */
  readonly inference_count: number;
  readonly execution_count: number;
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

/** In the order of the numbers, two for each: how many, and how many nanoseconds together. */
const durations = ["success", "fail", "queue", "compute_input", "compute_infer", "compute_output"] as const;
/** The numbers before them. */
const [lastInference, rows, executionCount, firstDuration] = [0, 1, 2, 3];

/** What is counted of one version, in one list: there may be tens of thousands of them. */
interface Counts {
  readonly name: string;
  readonly version: string;
  readonly numbers: number[];
}

export function createStatistics(): Statistics {
  const models = new Map<string, Counts>();
  return {
    add({ prediction, timings, executions }) {
      const { modelName: name, modelVersion: version } = prediction;
      const key = `${name}\n${version}`;
      let counts = models.get(key);
      if (counts === undefined) {
        counts = noCounts(name, version);
        models.set(key, counts);
      }
      const { numbers } = counts;
      numbers[lastInference] = prediction.atMs;
      if (prediction.status === "error") return lasted(numbers, "fail", prediction.durationMs);
      numbers[rows] = (numbers[rows] ?? 0) + rowCount(prediction.inputs);
      numbers[executionCount] = (numbers[executionCount] ?? 0) + executions;
      lasted(numbers, "success", prediction.durationMs);
      lasted(numbers, "queue", timings.loadMs + timings.waitMs);
      lasted(numbers, "compute_input", timings.decodeMs);
      lasted(numbers, "compute_infer", timings.runMs);
      lasted(numbers, "compute_output", 0);
    },
    of: (model, version) => shown(models.get(`${model}\n${version}`) ?? noCounts(model, version)),
    all: () => Array.from(models.values(), shown),
  };
}

function noCounts(name: string, version: string): Counts {
  return { name, version, numbers: new Array<number>(firstDuration + 2 * durations.length).fill(0) };
}

function lasted(numbers: number[], what: (typeof durations)[number], ms: number): void {
  const at = firstDuration + 2 * durations.indexOf(what);
  numbers[at] = (numbers[at] ?? 0) + 1;
  numbers[at + 1] = (numbers[at + 1] ?? 0) + Math.round(ms * 1e6);
}

function shown({ name, version, numbers }: Counts): ModelStatistics {
  const duration = (what: (typeof durations)[number]): Duration => {
    const at = firstDuration + 2 * durations.indexOf(what);
    return { count: numbers[at] ?? 0, ns: numbers[at + 1] ?? 0 };
  };
  return {
    name,
    version,
    last_inference: numbers[lastInference] ?? 0,
    inference_count: numbers[rows] ?? 0,
    execution_count: numbers[executionCount] ?? 0,
    inference_stats: {
      success: duration("success"),
      fail: duration("fail"),
      queue: duration("queue"),
      compute_input: duration("compute_input"),
      compute_infer: duration("compute_infer"),
      compute_output: duration("compute_output"),
      cache_hit: { count: 0, ns: 0 },
      cache_miss: { count: 0, ns: 0 },
    },
    batch_stats: [],
  };
}
