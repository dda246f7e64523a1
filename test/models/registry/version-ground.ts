import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";

/** A model version as MLflow's API tells it. */
export interface Version {
  name: string;
  version: string;
  current_stage: string;
  source: string;
  run_id: string;
  description: string;
  model_id?: string;
  tags?: object[];
  aliases?: string[];
  last_updated_timestamp: number;
}

/** An empty registry, with the calls that its tests make most. */
export async function versionGround() {
  const ground: MlflowGround = await mlflowGround();
  let count = 0;
  return {
    ground,
    async newModel(): Promise<string> {
      const name = `model ${++count}`;
      await ground.ask("POST", "/registered-models/create", { name });
      return name;
    },
    async register(name: string, fields: object = {}): Promise<Version> {
      const all = { name, source: "s3://bucket/model", ...fields };
      return (await ground.ask<{ model_version: Version }>("POST", "/model-versions/create", all))
        .model_version;
    },
    async get(name: string, version: string): Promise<Version> {
      const fields = { name, version };
      return (await ground.ask<{ model_version: Version }>("GET", "/model-versions/get", fields))
        .model_version;
    },
  };
}

export type VersionGround = Awaited<ReturnType<typeof versionGround>>;
