import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../support/application.ts";
import type { MlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";
import { type VersionGround, versionGround } from "./version-ground.ts";

let ground: MlflowGround;
let newModel: VersionGround["newModel"];
let register: VersionGround["register"];
let get: VersionGround["get"];
beforeAll(async () => {
  ({ ground, newModel, register, get } = await versionGround());
});
afterAll(() => ground?.close());
const downloadUri = async (name: string, version: string) =>
  (await ground.ask<{ artifact_uri: string }>("GET", "/model-versions/get-download-uri", { name, version }))
    .artifact_uri;
const newRun = async () =>
  (await ground.ask<{ run: { info: { run_id: string } } }>("POST", "/runs/create", { experiment_id: "0" }))
    .run.info.run_id;
const newLoggedModel = async (fields: object = {}) =>
  (
    await ground.ask<{ model: { info: { model_id: string } } }>("POST", "/logged-models", {
      experiment_id: "0",
      ...fields,
    })
  ).model.info.model_id;

describe("a version", () => {
  it("is told back as MLflow writes it, ready at once", async () => {
    const name = await newModel();
    const version = await register(name, {
      description: "first",
      run_link: "http://x",
      tags: [{ key: "t", value: "1" }],
    });
    expect(version).toEqual({
      name,
      version: "1",
      creation_timestamp: ground.clock(),
      last_updated_timestamp: ground.clock(),
      current_stage: "None",
      description: "first",
      source: "s3://bucket/model",
      run_id: "",
      status: "READY",
      tags: [{ key: "t", value: "1" }],
      run_link: "http://x",
    });
    expect(await get(name, "1")).toEqual(version);
  });

  it("gets a number that no other version of the model had, deleted ones neither", async () => {
    const name = await newModel();
    await register(name);
    await register(name);
    await ground.ask("DELETE", "/model-versions/delete", { name, version: "2" });
    expect((await register(name)).version).toBe("3");
    expectMlflowError(
      await ground.send("GET", "/model-versions/get", { name, version: "2" }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
      /Model Version \(name=model \d+, version=2\) not found/,
    );
    expectMlflowError(
      await ground.send("DELETE", "/model-versions/delete", { name, version: "2" }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
    );
  });

  it("must be named by an integer", async () => {
    const name = await newModel();
    for (const version of ["abc", "1.5", "v1"]) {
      expectMlflowError(
        await ground.send("GET", "/model-versions/get", { name, version }),
        400,
        "INVALID_PARAMETER_VALUE",
        /Parameter 'version' must be an integer/,
      );
    }
  });

  it("can be described and tagged", async () => {
    const name = await newModel();
    await register(name);
    ground.clock.advance(50);
    await ground.ask("PATCH", "/model-versions/update", { name, version: "1", description: "good" });
    for (const value of ["1", "2"]) {
      await ground.ask("POST", "/model-versions/set-tag", { name, version: "1", key: "t", value });
    }
    expect(await get(name, "1")).toMatchObject({
      description: "good",
      tags: [{ key: "t", value: "2" }],
      last_updated_timestamp: ground.clock(),
    });
    await ground.ask("PATCH", "/model-versions/update", { name, version: "1" });
    expect((await get(name, "1")).description).toBe("good");
    for (let twice = 0; twice < 2; twice++) {
      await ground.ask("DELETE", "/model-versions/delete-tag", { name, version: "1", key: "t" });
    }
    expect(await get(name, "1")).not.toHaveProperty("tags");
  });
});

describe("the source of a version", () => {
  it("may be a run: the files are found at once, and the run is noted", async () => {
    const name = await newModel();
    const runId = await newRun();
    const version = await register(name, { source: `runs:/${runId}/model` });
    expect(version).toMatchObject({ source: `runs:/${runId}/model`, run_id: runId });
    expect(await downloadUri(name, "1")).toBe(`mlflow-artifacts:/0/${runId}/artifacts/model`);
    expect(await ground.registry.artifactPrefix(name, 1)).toBe(`artifacts/0/${runId}/artifacts/model`);
    expectMlflowError(
      await ground.send("POST", "/model-versions/create", {
        name,
        source: `runs:/${runId}/m`,
        run_id: await newRun(),
      }),
      400,
      "INVALID_PARAMETER_VALUE",
      /run_id request parameter must identify/,
    );
    expectMlflowError(
      await ground.send("POST", "/model-versions/create", { name, source: `runs:/${"0".repeat(32)}/m` }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
    );
  });

  it("may be a logged model, which then lists the version in a tag", async () => {
    const name = await newModel();
    const runId = await newRun();
    const modelId = await newLoggedModel({ source_run_id: runId });
    const version = await register(name, { source: `models:/${modelId}`, model_id: modelId });
    expect(version).toMatchObject({ source: `models:/${modelId}`, run_id: runId, model_id: modelId });
    expect(await downloadUri(name, "1")).toBe(`mlflow-artifacts:/0/models/${modelId}/artifacts`);
    await register(name, { source: `models:/${modelId}` });
    const { model } = await ground.ask<{ model: { info: { tags: { key: string; value: string }[] } } }>(
      "GET",
      `/logged-models/${modelId}`,
    );
    expect(JSON.parse(model.info.tags[0]?.value ?? "")).toEqual([
      { name, version: 1 },
      { name, version: 2 },
    ]);
    expectMlflowError(
      await ground.send("POST", "/model-versions/create", {
        name,
        source: `models:/${modelId}`,
        model_id: await newLoggedModel(),
      }),
      400,
      "INVALID_PARAMETER_VALUE",
      /model_id request parameter must identify/,
    );
    expectMlflowError(
      await ground.send("POST", "/model-versions/create", { name, source: `models:/m-${"0".repeat(32)}` }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
    );
  });

  it("may be another version, by number, alias or stage: the copy has the same files", async () => {
    const original = await newModel();
    const runId = await newRun();
    await register(original, { source: `runs:/${runId}/model` });
    await ground.ask("POST", "/registered-models/alias", { name: original, alias: "best", version: "1" });
    await ground.ask("POST", "/model-versions/transition-stage", {
      name: original,
      version: "1",
      stage: "Staging",
    });
    const copy = await newModel();
    for (const reference of ["/1", "@best", "/Staging", "/latest"]) {
      const version = await register(copy, { source: `models:/${encodeURIComponent(original)}${reference}` });
      expect(version).toMatchObject({ source: `models:/${original}/1`, run_id: runId });
      expect(await downloadUri(copy, version.version)).toBe(`mlflow-artifacts:/0/${runId}/artifacts/model`);
    }
    for (const reference of ["/2", "@worst", "/Production"]) {
      const source = `models:/${original}${reference}`;
      expectMlflowError(
        await ground.send("POST", "/model-versions/create", { name: copy, source }),
        400,
        "INVALID_PARAMETER_VALUE",
        /no such version/,
      );
    }
  });

  it("may be an artifact of this server", async () => {
    const name = await newModel();
    await register(name, { source: "mlflow-artifacts:/0/abc/artifacts/model" });
    expect(await ground.registry.artifactPrefix(name, 1)).toBe("artifacts/0/abc/artifacts/model");
  });

  it.each([
    "/etc/passwd",
    "model",
    "file:///etc/passwd",
    "file:/etc",
    "C:\\models\\x",
    "./model",
    "../model",
    "mlflow-artifacts:/0/../../x",
    "mlflow-artifacts:/0/%2e%2e/x",
    "mlflow-artifacts:/0/%252e%252e/x",
    "http://host/api/2.0/mlflow-artifacts/artifacts/../../x",
    "s3://bucket/../x",
    "models:/../x/1",
  ])("is refused when it could be a file of the server: %s", async (source) => {
    const name = await newModel();
    expectMlflowError(
      await ground.send("POST", "/model-versions/create", { name, source }),
      400,
      "INVALID_PARAMETER_VALUE",
      /Invalid model version source|Invalid path/,
    );
  });

  it("serves the files of a version to MLflow's page", async () => {
    const name = await newModel();
    const runId = await newRun();
    await register(name, { source: `runs:/${runId}/model` });
    await call(
      ground.app,
      "PUT",
      `/api/2.0/mlflow-artifacts/artifacts/0/${runId}/artifacts/model/MLmodel`,
      new TextEncoder().encode("flavors:"),
    );
    const address = `/model-versions/get-artifact?name=${encodeURIComponent(name)}&version=1&path=`;
    expect((await call(ground.app, "GET", `${address}MLmodel`)).body).toBe("flavors:");
    expectMlflowError(await call(ground.app, "GET", `${address}nothing`), 404, "RESOURCE_DOES_NOT_EXIST");
    expectMlflowError(
      await call(ground.app, "GET", `${address}..%2f..%2fx`),
      400,
      "INVALID_PARAMETER_VALUE",
      /^Invalid path$/,
    );
  });
});
