import { isMissing } from "../errors.ts";
import { type CallOptions, everyItem, type Page, type PageOptions, pageOf } from "../pages.ts";
import type { Transport } from "../transport/transport.ts";
import {
  type Experiment,
  ExperimentAnswer,
  ExperimentId,
  ExperimentPage,
  type KeyValue,
  Nothing,
} from "../wire.ts";

export type View = "ACTIVE_ONLY" | "DELETED_ONLY" | "ALL";

export interface ExperimentSearch {
  readonly filter?: string;
  readonly order_by?: readonly string[];
  readonly view_type?: View;
  /** Per page; 1000 by default. */
  readonly max_results?: number;
}

/** MLflow's experiments. Every call throws `MlflowError`. */
export interface Experiments {
  /** @returns its id */
  create(
    experiment: {
      readonly name: string;
      readonly artifact_location?: string;
      readonly tags?: readonly KeyValue[];
    },
    options?: CallOptions,
  ): Promise<string>;
  get(experimentId: string, options?: CallOptions): Promise<Experiment>;
  /** @returns null when there is none; a deleted one keeps its name */
  getByName(name: string, options?: CallOptions): Promise<Experiment | null>;
  search(search?: ExperimentSearch, options?: CallOptions): AsyncIterable<Experiment>;
  searchPage(search?: ExperimentSearch, options?: PageOptions): Promise<Page<Experiment>>;
  update(experimentId: string, change: { readonly new_name: string }, options?: CallOptions): Promise<void>;
  delete(experimentId: string, options?: CallOptions): Promise<void>;
  restore(experimentId: string, options?: CallOptions): Promise<void>;
  setTag(experimentId: string, key: string, value: string, options?: CallOptions): Promise<void>;
}

const root = "/api/2.0/mlflow/experiments";

export function experimentsOver(transport: Transport): Experiments {
  const post = (path: string, json: unknown, { signal }: CallOptions = {}) =>
    transport.call(Nothing, { method: "POST", path: `${root}/${path}`, json, idempotent: true, signal });

  const searchPage: Experiments["searchPage"] = async (search = {}, { page_token, signal } = {}) => {
    const answer = await transport.call(ExperimentPage, {
      method: "POST",
      path: `${root}/search`,
      json: { max_results: 1000, ...search, page_token },
      idempotent: true,
      signal,
    });
    return pageOf(answer.experiments, answer.next_page_token);
  };

  return {
    searchPage,
    search: (search, options) => everyItem((page_token) => searchPage(search, { ...options, page_token })),

    async create(experiment, { signal } = {}) {
      const path = `${root}/create`;
      const answer = await transport.call(ExperimentId, {
        method: "POST",
        path,
        json: experiment,
        signal,
      });
      return answer.experiment_id;
    },

    async get(experiment_id, { signal } = {}) {
      const query = { experiment_id };
      const answer = await transport.call(ExperimentAnswer, {
        method: "GET",
        path: `${root}/get`,
        query,
        signal,
      });
      return answer.experiment;
    },

    async getByName(experiment_name, { signal } = {}) {
      try {
        const answer = await transport.call(ExperimentAnswer, {
          method: "GET",
          path: `${root}/get-by-name`,
          query: { experiment_name },
          signal,
        });
        return answer.experiment;
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },

    async update(experiment_id, change, options) {
      await post("update", { experiment_id, ...change }, options);
    },
    async delete(experiment_id, options) {
      await post("delete", { experiment_id }, options);
    },
    async restore(experiment_id, options) {
      await post("restore", { experiment_id }, options);
    },
    async setTag(experiment_id, key, value, options) {
      await post("set-experiment-tag", { experiment_id, key, value }, options);
    },
  };
}
