import { many, unlessEmpty } from "../../shared/mlflow/index.ts";
import type { LoadedModel } from "./store/models.ts";
import type { LoadedVersion } from "./store/versions.ts";

/** How the things of the registry look in MLflow's answers (mlflow/protos/model_registry.proto). */

const pair = ({ key, value }: { readonly key: string; readonly value: string }) => ({ key, value });

export function modelJson(model: LoadedModel) {
  return {
    name: model.name,
    creation_timestamp: model.created_ms,
    last_updated_timestamp: model.updated_ms,
    description: unlessEmpty(model.description),
    latest_versions: many(model.latest.map(versionJson)),
    tags: many(model.tags.map(pair)),
    aliases: many(model.aliases.map(({ alias, version }) => ({ alias, version: String(version) }))),
  };
}

export function versionJson(version: LoadedVersion) {
  return {
    name: version.name,
    version: String(version.version),
    creation_timestamp: version.created_ms,
    last_updated_timestamp: version.updated_ms,
    current_stage: version.stage,
    description: version.description,
    source: version.source,
    run_id: version.run_id,
    status: "READY",
    tags: many(version.tags.map(pair)),
    run_link: version.run_link,
    aliases: many(version.aliases),
    model_id: unlessEmpty(version.logged_model_id),
  };
}
