import { isMlflowError, MlflowError } from "../errors.ts";
import { type CallOptions, everyItem, type Page, type PageOptions, pageOf } from "../pages.ts";
import type { Method, Transport } from "../transport/transport.ts";
import { type KeyValue, type LoggedModel, LoggedModelAnswer, LoggedModelPage, Nothing } from "../wire.ts";

export interface NewLoggedModel {
  readonly experiment_id: string;
  readonly name?: string;
  readonly model_type?: string;
  readonly source_run_id?: string;
  readonly params?: readonly KeyValue[];
  readonly tags?: readonly KeyValue[];
}

export interface LoggedModelSearch {
  readonly experiment_ids: readonly string[];
  readonly filter?: string;
  readonly order_by?: readonly { readonly field_name: string; readonly ascending?: boolean }[];
  /** Per page; 50 by default. */
  readonly max_results?: number;
}

/**
 * MLflow 3's logged models. Every call throws `MlflowError`: `ENDPOINT_NOT_FOUND` from MLflow 2 and, unasked, for Azure ML,
 * neither of which has them. There, store the model's files as artifacts of its run and register `runs:/<run>/<path>`.
 */
export interface LoggedModels {
  /** Whether the server has logged models at all. Azure ML is not asked. */
  areSupported(options?: CallOptions): Promise<boolean>;
  /** PENDING until its files are uploaded below its `artifact_uri` and it is finalized. */
  create(model: NewLoggedModel, options?: CallOptions): Promise<LoggedModel>;
  get(modelId: string, options?: CallOptions): Promise<LoggedModel>;
  search(search: LoggedModelSearch, options?: CallOptions): AsyncIterable<LoggedModel>;
  searchPage(search: LoggedModelSearch, options?: PageOptions): Promise<Page<LoggedModel>>;
  finalize(
    modelId: string,
    status: "LOGGED_MODEL_READY" | "LOGGED_MODEL_UPLOAD_FAILED",
    options?: CallOptions,
  ): Promise<LoggedModel>;
  logParams(modelId: string, params: readonly KeyValue[], options?: CallOptions): Promise<void>;
  setTags(modelId: string, tags: readonly KeyValue[], options?: CallOptions): Promise<void>;
  deleteTag(modelId: string, key: string, options?: CallOptions): Promise<void>;
  delete(modelId: string, options?: CallOptions): Promise<void>;
}

const root = "/api/2.0/mlflow/logged-models";

export function loggedModelsOver(transport: Transport): LoggedModels {
  /** Azure ML answers calls that it does not have in ways of its own, so it is not asked. */
  const refuse = (name: string) => {
    if (transport.kind !== "azureml") return;
    throw new MlflowError(
      "ENDPOINT_NOT_FOUND",
      404,
      name,
      "Azure ML's MLflow endpoint has no logged models. Store the model's files as artifacts of its run, and register " +
        "runs:/<run id>/<path>.",
    );
  };
  const change = async (method: Method, path: string, json: unknown, { signal }: CallOptions = {}) => {
    refuse(`${method} logged-models${path}`);
    await transport.call(Nothing, { method, path: `${root}${path}`, json, idempotent: true, signal });
  };
  const at = (modelId: string) => `/${encodeURIComponent(modelId)}`;

  const searchPage: LoggedModels["searchPage"] = async (search, { page_token, signal } = {}) => {
    refuse("POST logged-models/search");
    const answer = await transport.call(LoggedModelPage, {
      method: "POST",
      path: `${root}/search`,
      json: { ...search, page_token },
      idempotent: true,
      signal,
    });
    return pageOf(answer.models, answer.next_page_token);
  };

  return {
    searchPage,
    search: (search, options) => everyItem((page_token) => searchPage(search, { ...options, page_token })),

    async areSupported(options = {}) {
      if (transport.kind === "azureml") return false;
      try {
        await searchPage({ experiment_ids: ["0"], max_results: 1 }, options);
        return true;
      } catch (error) {
        if (isMlflowError(error, "ENDPOINT_NOT_FOUND")) return false;
        throw error;
      }
    },

    async create(model, { signal } = {}) {
      refuse("POST logged-models");
      const call = { method: "POST", path: root, json: model, signal } as const;
      return (await transport.call(LoggedModelAnswer, call)).model;
    },
    async get(modelId, { signal } = {}) {
      refuse("GET logged-models");
      const call = { method: "GET", path: `${root}${at(modelId)}`, signal } as const;
      return (await transport.call(LoggedModelAnswer, call)).model;
    },
    async finalize(model_id, status, { signal } = {}) {
      refuse("PATCH logged-models");
      const json = { model_id, status };
      const call = { method: "PATCH", path: `${root}${at(model_id)}`, json, signal } as const;
      return (await transport.call(LoggedModelAnswer, call)).model;
    },
    logParams: (model_id, params, options) =>
      change("POST", `${at(model_id)}/params`, { model_id, params }, options),
    setTags: (model_id, tags, options) =>
      change("PATCH", `${at(model_id)}/tags`, { model_id, tags }, options),
    deleteTag: (model_id, tag_key, options) =>
      change("DELETE", `${at(model_id)}/tags/${encodeURIComponent(tag_key)}`, { model_id, tag_key }, options),
    delete: (model_id, options) => change("DELETE", at(model_id), { model_id }, options),
  };
}
