import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";
import { type Version, type VersionGround, versionGround } from "./version-ground.ts";

let ground: MlflowGround;
let newModel: VersionGround["newModel"];
let register: VersionGround["register"];
let get: VersionGround["get"];
beforeAll(async () => {
  ({ ground, newModel, register, get } = await versionGround());
});
afterAll(() => ground?.close());

describe("stages", () => {
  const transition = (name: string, version: string, stage: string, archive = false) =>
    ground.send("POST", "/model-versions/transition-stage", {
      name,
      version,
      stage,
      archive_existing_versions: archive,
    });

  it("are taken in any case and told in MLflow's", async () => {
    const name = await newModel();
    await register(name);
    const answer = await transition(name, "1", "pRoDuCtIoN");
    expect(answer.body).toMatchObject({ model_version: { current_stage: "Production" } });
  });

  it("are emptied into Archived on request", async () => {
    const name = await newModel();
    for (let index = 0; index < 3; index++) await register(name);
    await transition(name, "1", "Staging");
    await transition(name, "2", "Staging");
    await transition(name, "3", "Staging", true);
    const stagesNow = await Promise.all(
      ["1", "2", "3"].map(async (version) => (await get(name, version)).current_stage),
    );
    expect(stagesNow).toEqual(["Archived", "Archived", "Staging"]);
  });

  it.each([
    ["Archived", true, /not an Active stage/],
    ["None", true, /not an Active stage/],
    [
      "Somewhere",
      false,
      /Invalid Model Version stage: Somewhere. Value must be one of None, Staging, Production, Archived/,
    ],
  ])("refuse %s with archive_existing_versions=%s", async (stage, archive, message) => {
    const name = await newModel();
    await register(name);
    expectMlflowError(await transition(name, "1", stage, archive), 400, "INVALID_PARAMETER_VALUE", message);
  });

  it("each show their newest version", async () => {
    const name = await newModel();
    for (let index = 0; index < 4; index++) await register(name);
    await transition(name, "1", "Production");
    await transition(name, "2", "Production");
    await transition(name, "3", "Staging");
    const latest = async (method: string, fields: object = {}) => {
      const answer = await ground.ask<{ model_versions?: Version[] }>(
        method,
        "/registered-models/get-latest-versions",
        {
          name,
          ...fields,
        },
      );
      return (answer.model_versions ?? []).map(({ version }) => version).toSorted();
    };
    expect(await latest("POST")).toEqual(["2", "3", "4"]);
    expect(await latest("POST", { stages: ["production", "Archived"] })).toEqual(["2"]);
    expect(await latest("GET", { stages: "None" })).toEqual(["4"]);
    const { registered_model } = await ground.ask<{ registered_model: { latest_versions: Version[] } }>(
      "GET",
      "/registered-models/get",
      { name },
    );
    expect(registered_model.latest_versions.map(({ version }) => version).toSorted()).toEqual([
      "2",
      "3",
      "4",
    ]);
    expectMlflowError(
      await ground.send("POST", "/registered-models/get-latest-versions", { name, stages: ["x"] }),
      400,
      "INVALID_PARAMETER_VALUE",
    );
  });
});
