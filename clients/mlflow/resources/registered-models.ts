import { isMissing, isMlflowError } from "../errors.ts";
import { type CallOptions, everyItem, type Page, type PageOptions, pageOf } from "../pages.ts";
import type { Method, Transport } from "../transport/transport.ts";
import {
  type KeyValue,
  type ModelVersion,
  ModelVersionAnswer,
  ModelVersionList,
  Nothing,
  type RegisteredModel,
  RegisteredModelAnswer,
  RegisteredModelPage,
} from "../wire.ts";

export interface RegistrySearch {
  readonly filter?: string;
  readonly order_by?: readonly string[];
  /** Per page; 1000 by default. */
  readonly max_results?: number;
}

/** MLflow's registered models and their aliases. Every call throws `MlflowError`. */
export interface RegisteredModels {
  create(
    model: { readonly name: string; readonly description?: string; readonly tags?: readonly KeyValue[] },
    options?: CallOptions,
  ): Promise<RegisteredModel>;
  /** @returns null when there is none */
  get(name: string, options?: CallOptions): Promise<RegisteredModel | null>;
  search(search?: RegistrySearch, options?: CallOptions): AsyncIterable<RegisteredModel>;
  searchPage(search?: RegistrySearch, options?: PageOptions): Promise<Page<RegisteredModel>>;
  rename(name: string, newName: string, options?: CallOptions): Promise<RegisteredModel>;
  update(
    name: string,
    change: { readonly description: string },
    options?: CallOptions,
  ): Promise<RegisteredModel>;
  /** With all its versions, for good. */
  delete(name: string, options?: CallOptions): Promise<void>;
  setTag(name: string, key: string, value: string, options?: CallOptions): Promise<void>;
  deleteTag(name: string, key: string, options?: CallOptions): Promise<void>;
  /** The newest version in each of the stages; of all stages when none is named. */
  latestVersions(
    name: string,
    stages?: readonly string[],
    options?: CallOptions,
  ): Promise<readonly ModelVersion[]>;
  setAlias(name: string, alias: string, version: string | number, options?: CallOptions): Promise<void>;
  deleteAlias(name: string, alias: string, options?: CallOptions): Promise<void>;
  /** @returns null when there is no such model or alias */
  getByAlias(name: string, alias: string, options?: CallOptions): Promise<ModelVersion | null>;
}

const root = "/api/2.0/mlflow/registered-models";

export function registeredModelsOver(transport: Transport): RegisteredModels {
  const change = async (method: Method, path: string, json: unknown, { signal }: CallOptions = {}) => {
    await transport.call(Nothing, { method, path: `${root}/${path}`, json, idempotent: true, signal });
  };

  const searchPage: RegisteredModels["searchPage"] = async (search = {}, { page_token, signal } = {}) => {
    const { filter, order_by, max_results = 1000 } = search;
    const answer = await transport.call(RegisteredModelPage, {
      method: "GET",
      path: `${root}/search`,
      query: { filter, order_by, max_results, page_token },
      signal,
    });
    return pageOf(answer.registered_models, answer.next_page_token);
  };

  return {
    searchPage,
    search: (search, options) => everyItem((page_token) => searchPage(search, { ...options, page_token })),

    async create(model, { signal } = {}) {
      const call = { method: "POST", path: `${root}/create`, json: model, signal } as const;
      return (await transport.call(RegisteredModelAnswer, call)).registered_model;
    },

    async get(name, { signal } = {}) {
      const call = { method: "GET", path: `${root}/get`, query: { name }, signal } as const;
      try {
        return (await transport.call(RegisteredModelAnswer, call)).registered_model;
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },

    async rename(name, new_name, { signal } = {}) {
      const call = { method: "POST", path: `${root}/rename`, json: { name, new_name }, signal } as const;
      return (await transport.call(RegisteredModelAnswer, call)).registered_model;
    },

    async update(name, { description }, { signal } = {}) {
      const call = { method: "PATCH", path: `${root}/update`, json: { name, description }, signal } as const;
      return (await transport.call(RegisteredModelAnswer, call)).registered_model;
    },

    delete: (name, options) => change("DELETE", "delete", { name }, options),
    setTag: (name, key, value, options) => change("POST", "set-tag", { name, key, value }, options),
    deleteTag: (name, key, options) => change("DELETE", "delete-tag", { name, key }, options),

    async latestVersions(name, stages = [], { signal } = {}) {
      const call = {
        method: "POST",
        path: `${root}/get-latest-versions`,
        json: { name, stages },
        idempotent: true,
        signal,
      } as const;
      return (await transport.call(ModelVersionList, call)).model_versions;
    },

    setAlias: (name, alias, version, options) =>
      change("POST", "alias", { name, alias, version: String(version) }, options),
    deleteAlias: (name, alias, options) => change("DELETE", "alias", { name, alias }, options),

    async getByAlias(name, alias, { signal } = {}) {
      const call = { method: "GET", path: `${root}/alias`, query: { name, alias }, signal } as const;
      try {
        return (await transport.call(ModelVersionAnswer, call)).model_version;
      } catch (error) {
        // An unknown alias of a known model is MLflow's INVALID_PARAMETER_VALUE.
        const isUnknown = isMlflowError(error, "INVALID_PARAMETER_VALUE") && /not found/i.test(error.message);
        if (isMissing(error) || isUnknown) return null;
        throw error;
      }
    },
  };
}
