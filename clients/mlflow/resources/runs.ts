import { type CallOptions, everyItem, type Page, type PageOptions, pageOf } from "../pages.ts";
import type { Transport } from "../transport/transport.ts";
import {
  type KeyValue,
  type Metric,
  MetricPage,
  Nothing,
  type Run,
  RunAnswer,
  type RunInfo,
  RunInfoAnswer,
  RunPage,
  type RunStatus,
} from "../wire.ts";
import { type Batch, metricJson, type NewMetric, splitBatch } from "./batches.ts";
import type { View } from "./experiments.ts";

export interface NewRun {
  readonly experiment_id: string;
  readonly run_name?: string;
  readonly user_id?: string;
  /** Milliseconds since 1970; now when not given. */
  readonly start_time?: number;
  readonly tags?: readonly KeyValue[];
}

export interface RunSearch {
  readonly experiment_ids: readonly string[];
  readonly filter?: string;
  readonly order_by?: readonly string[];
  readonly run_view_type?: View;
  /** Per page; 1000 by default, at most 50,000. */
  readonly max_results?: number;
}

export interface NewDatasetInput {
  readonly tags?: readonly KeyValue[];
  readonly dataset: {
    readonly name: string;
    readonly digest: string;
    readonly source_type: string;
    readonly source: string;
    readonly schema?: string | undefined;
    readonly profile?: string | undefined;
  };
}

/** MLflow's runs. Every call throws `MlflowError`. */
export interface Runs {
  create(run: NewRun, options?: CallOptions): Promise<Run>;
  get(runId: string, options?: CallOptions): Promise<Run>;
  search(search: RunSearch, options?: CallOptions): AsyncIterable<Run>;
  searchPage(search: RunSearch, options?: PageOptions): Promise<Page<Run>>;
  update(
    runId: string,
    change: {
      readonly status?: RunStatus | undefined;
      readonly end_time?: number | undefined;
      readonly run_name?: string | undefined;
    },
    options?: CallOptions,
  ): Promise<RunInfo>;
  delete(runId: string, options?: CallOptions): Promise<void>;
  restore(runId: string, options?: CallOptions): Promise<void>;
  logMetric(runId: string, metric: NewMetric, options?: CallOptions): Promise<void>;
  logParam(runId: string, key: string, value: string, options?: CallOptions): Promise<void>;
  setTag(runId: string, key: string, value: string, options?: CallOptions): Promise<void>;
  deleteTag(runId: string, key: string, options?: CallOptions): Promise<void>;
  /** Of any size: in as many calls as MLflow's limits ask for, each all or nothing. */
  logBatch(runId: string, batch: Batch, options?: CallOptions): Promise<void>;
  logInputs(
    runId: string,
    inputs: {
      readonly datasets?: readonly NewDatasetInput[];
      readonly models?: readonly { readonly model_id: string }[];
    },
    options?: CallOptions,
  ): Promise<void>;
  /** Names logged models as what the run made. MLflow 3. */
  logOutputs(
    runId: string,
    models: readonly { readonly model_id: string; readonly step?: number }[],
    options?: CallOptions,
  ): Promise<void>;
  /** What clients of MLflow 2 say after they stored a model: the JSON of its MLmodel. */
  logModel(runId: string, model: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<void>;
  /** All values of one metric, by time, step and value; all of its pages. */
  metricHistory(runId: string, key: string, options?: CallOptions): AsyncIterable<Metric>;
  metricHistoryPage(
    runId: string,
    key: string,
    options?: PageOptions & { readonly max_results?: number },
  ): Promise<Page<Metric>>;
}

const root = "/api/2.0/mlflow/runs";
/** MLflow's own limit. It is always sent: stock servers take a history without a limit for one of no values. */
const historyPage = 25_000;

export function runsOver(transport: Transport): Runs {
  const post = (path: string, json: unknown, { signal }: CallOptions = {}) =>
    transport.call(Nothing, { method: "POST", path: `${root}/${path}`, json, idempotent: true, signal });

  const searchPage: Runs["searchPage"] = async (search, { page_token, signal } = {}) => {
    const answer = await transport.call(RunPage, {
      method: "POST",
      path: `${root}/search`,
      json: { max_results: 1000, ...search, page_token },
      idempotent: true,
      signal,
    });
    return pageOf(answer.runs, answer.next_page_token);
  };

  const metricHistoryPage: Runs["metricHistoryPage"] = async (run_id, metric_key, options = {}) => {
    const { page_token, max_results = historyPage, signal } = options;
    const answer = await transport.call(MetricPage, {
      method: "GET",
      path: "/api/2.0/mlflow/metrics/get-history",
      query: { run_id, metric_key, max_results, page_token },
      signal,
    });
    return pageOf(answer.metrics, answer.next_page_token);
  };

  return {
    searchPage,
    search: (search, options) => everyItem((page_token) => searchPage(search, { ...options, page_token })),
    metricHistoryPage,
    metricHistory: (runId, key, options) =>
      everyItem((page_token) => metricHistoryPage(runId, key, { ...options, page_token })),

    async create(run, { signal } = {}) {
      const json = { start_time: Date.now(), ...run };
      const answer = await transport.call(RunAnswer, {
        method: "POST",
        path: `${root}/create`,
        json,
        signal,
      });
      return answer.run;
    },

    async get(run_id, { signal } = {}) {
      const path = `${root}/get`;
      return (await transport.call(RunAnswer, { method: "GET", path, query: { run_id }, signal })).run;
    },

    async update(run_id, change, { signal } = {}) {
      const answer = await transport.call(RunInfoAnswer, {
        method: "POST",
        path: `${root}/update`,
        json: { run_id, ...change },
        idempotent: true,
        signal,
      });
      return answer.run_info;
    },

    async delete(run_id, options) {
      await post("delete", { run_id }, options);
    },
    async restore(run_id, options) {
      await post("restore", { run_id }, options);
    },
    async logMetric(run_id, metric, options) {
      await post("log-metric", { run_id, ...metricJson(metric, Date.now()) }, options);
    },
    async logParam(run_id, key, value, options) {
      await post("log-parameter", { run_id, key, value }, options);
    },
    async setTag(run_id, key, value, options) {
      await post("set-tag", { run_id, key, value }, options);
    },
    async deleteTag(run_id, key, options) {
      await post("delete-tag", { run_id, key }, options);
    },
    async logBatch(run_id, batch, options) {
      for (const part of splitBatch(batch, Date.now())) await post("log-batch", { run_id, ...part }, options);
    },
    async logInputs(run_id, { datasets = [], models = [] }, options) {
      if (datasets.length + models.length === 0) return;
      await post("log-inputs", { run_id, datasets, models }, options);
    },
    async logOutputs(run_id, models, options) {
      if (models.length === 0) return;
      await post("outputs", { run_id, models: models.map((model) => ({ step: 0, ...model })) }, options);
    },
    async logModel(run_id, model, options) {
      await post("log-model", { run_id, model_json: JSON.stringify(model) }, options);
    },
  };
}
