import { isMissing } from "../errors.ts";
import { type CallOptions, everyItem, type Page, type PageOptions, pageOf } from "../pages.ts";
import type { Method, Transport } from "../transport/transport.ts";
import {
  DownloadUri,
  type KeyValue,
  type ModelVersion,
  ModelVersionAnswer,
  ModelVersionList,
  Nothing,
} from "../wire.ts";
import type { RegistrySearch } from "./registered-models.ts";

export interface NewModelVersion {
  readonly name: string;
  /** `runs:/<run>/<path>`, `models:/m-<id>`, `models:/<name>/<version>` or where else the files are. */
  readonly source: string;
  readonly run_id?: string;
  readonly run_link?: string;
  readonly description?: string;
  readonly tags?: readonly KeyValue[];
  /** MLflow 3: the logged model that it is made of. */
  readonly model_id?: string;
}

/** The versions of MLflow's registered models. Every call throws `MlflowError`. Versions are whole numbers. */
export interface ModelVersions {
  create(version: NewModelVersion, options?: CallOptions): Promise<ModelVersion>;
  /** @returns null when there is none */
  get(name: string, version: string | number, options?: CallOptions): Promise<ModelVersion | null>;
  search(search?: RegistrySearch, options?: CallOptions): AsyncIterable<ModelVersion>;
  searchPage(search?: RegistrySearch, options?: PageOptions): Promise<Page<ModelVersion>>;
  update(
    name: string,
    version: string | number,
    change: { readonly description: string },
    options?: CallOptions,
  ): Promise<ModelVersion>;
  delete(name: string, version: string | number, options?: CallOptions): Promise<void>;
  setTag(
    name: string,
    version: string | number,
    key: string,
    value: string,
    options?: CallOptions,
  ): Promise<void>;
  deleteTag(name: string, version: string | number, key: string, options?: CallOptions): Promise<void>;
  transitionStage(
    name: string,
    version: string | number,
    stage: string,
    options?: CallOptions & { readonly archive_existing_versions?: boolean },
  ): Promise<ModelVersion>;
  /** Where the version's files are. */
  downloadUri(name: string, version: string | number, options?: CallOptions): Promise<string>;
}

const root = "/api/2.0/mlflow/model-versions";

export function modelVersionsOver(transport: Transport): ModelVersions {
  const change = async (method: Method, path: string, json: unknown, { signal }: CallOptions = {}) => {
    await transport.call(Nothing, { method, path: `${root}/${path}`, json, idempotent: true, signal });
  };

  const searchPage: ModelVersions["searchPage"] = async (search = {}, { page_token, signal } = {}) => {
    const { filter, order_by, max_results = 1000 } = search;
    const answer = await transport.call(ModelVersionList, {
      method: "GET",
      path: `${root}/search`,
      query: { filter, order_by, max_results, page_token },
      signal,
    });
    return pageOf(answer.model_versions, answer.next_page_token);
  };

  return {
    searchPage,
    search: (search, options) => everyItem((page_token) => searchPage(search, { ...options, page_token })),

    async create(version, { signal } = {}) {
      const call = { method: "POST", path: `${root}/create`, json: version, signal } as const;
      return (await transport.call(ModelVersionAnswer, call)).model_version;
    },

    async get(name, version, { signal } = {}) {
      const query = { name, version };
      try {
        const call = { method: "GET", path: `${root}/get`, query, signal } as const;
        return (await transport.call(ModelVersionAnswer, call)).model_version;
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },

    async update(name, version, { description }, { signal } = {}) {
      const json = { name, version: String(version), description };
      const call = { method: "PATCH", path: `${root}/update`, json, signal } as const;
      return (await transport.call(ModelVersionAnswer, call)).model_version;
    },

    delete: (name, version, options) =>
      change("DELETE", "delete", { name, version: String(version) }, options),
    setTag: (name, version, key, value, options) =>
      change("POST", "set-tag", { name, version: String(version), key, value }, options),
    deleteTag: (name, version, key, options) =>
      change("DELETE", "delete-tag", { name, version: String(version), key }, options),

    async transitionStage(name, version, stage, { archive_existing_versions = false, signal } = {}) {
      const json = { name, version: String(version), stage, archive_existing_versions };
      const call = {
        method: "POST",
        path: `${root}/transition-stage`,
        json,
        idempotent: true,
        signal,
      } as const;
      return (await transport.call(ModelVersionAnswer, call)).model_version;
    },

    async downloadUri(name, version, { signal } = {}) {
      const query = { name, version };
      const call = { method: "GET", path: `${root}/get-download-uri`, query, signal } as const;
      return (await transport.call(DownloadUri, call)).artifact_uri;
    },
  };
}
