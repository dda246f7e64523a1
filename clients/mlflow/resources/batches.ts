import type { KeyValue } from "../wire.ts";

/** One value of a metric, to be logged. */
export interface NewMetric {
  readonly key: string;
  readonly value: number;
  /** Milliseconds since 1970; now when not given. */
  readonly timestamp?: number;
  /** 0 when not given. */
  readonly step?: number;
  readonly model_id?: string | undefined;
  readonly dataset_name?: string | undefined;
  readonly dataset_digest?: string | undefined;
}

export interface Batch {
  readonly metrics?: readonly NewMetric[];
  readonly params?: readonly KeyValue[];
  readonly tags?: readonly KeyValue[];
}

/** What one call of log-batch takes (mlflow/utils/validation.py), with room in its bytes for the run's id. */
export const batchLimits = { metrics: 1000, params: 100, tags: 100, total: 1000, bytes: 990_000 } as const;

interface OpenBatch {
  metrics: object[];
  params: object[];
  tags: object[];
  bytes: number;
}

/**
 * Cuts a batch into as few calls as MLflow's limits allow, in the order of parameters, tags, metrics. Each call is all
 * or nothing, several of them are not.
 *
 * @param nowMs the time of metrics that have none
 */
export function splitBatch(batch: Batch, nowMs: number): object[] {
  const full: OpenBatch[] = [];
  let open: OpenBatch = { metrics: [], params: [], tags: [], bytes: 0 };
  const add = (kind: "metrics" | "params" | "tags", item: object) => {
    const bytes = encoder.encode(JSON.stringify(item)).length + 1;
    const total = open.metrics.length + open.params.length + open.tags.length;
    const isFull =
      open[kind].length >= batchLimits[kind] ||
      total >= batchLimits.total ||
      (total > 0 && open.bytes + bytes > batchLimits.bytes);
    if (isFull) {
      full.push(open);
      open = { metrics: [], params: [], tags: [], bytes: 0 };
    }
    open[kind].push(item);
    open.bytes += bytes;
  };
  for (const { key, value } of batch.params ?? []) add("params", { key, value });
  for (const { key, value } of batch.tags ?? []) add("tags", { key, value });
  for (const metric of batch.metrics ?? []) add("metrics", metricJson(metric, nowMs));
  full.push(open);
  return full
    .map(({ bytes: _, ...lists }) => lists)
    .filter(({ metrics, params, tags }) => metrics.length + params.length + tags.length > 0);
}

const encoder = new TextEncoder();

/** NaN and the infinities as the strings that protobuf's JSON has for them; `JSON.stringify` would say null. */
export function metricJson(metric: NewMetric, nowMs: number): object {
  const { key, value, timestamp = nowMs, step = 0, model_id, dataset_name, dataset_digest } = metric;
  const number = Number.isFinite(value) ? value : String(value);
  return { key, value: number, timestamp, step, model_id, dataset_name, dataset_digest };
}
