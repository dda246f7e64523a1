import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../support/application.ts";
import { type MlflowGround, mlflowGround, type RunJson, runCalls } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

let ground: MlflowGround;
beforeAll(async () => {
  ground = await mlflowGround();
});
afterAll(() => ground?.close());

const { create, get, newRunId } = runCalls(() => ground);

describe("a run", () => {
  it("is told back as MLflow writes it: unset fields and empty lists absent, inputs always there", async () => {
    const run = await create({ start_time: 1700000000000, user_id: "ada", run_name: "first" });
    const { run_id } = run.info;
    expect(run).toEqual({
      info: {
        run_uuid: run_id,
        run_id,
        experiment_id: "0",
        run_name: "first",
        user_id: "ada",
        status: "RUNNING",
        start_time: 1700000000000,
        artifact_uri: `mlflow-artifacts:/0/${run_id}/artifacts`,
        lifecycle_stage: "active",
      },
      data: { tags: [{ key: "mlflow.runName", value: "first" }] },
      inputs: {},
    });
    expect(run_id).toMatch(/^[0-9a-f]{32}$/);
    expect(await get(run_id)).toEqual(run);
  });

  it("gets a random name when nobody named it, and the name of its tag when that did", async () => {
    expect((await create()).info.run_name).toMatch(/^[a-z]+-[a-z]+-\d+$/);
    const named = await create({ tags: [{ key: "mlflow.runName", value: "by tag" }] });
    expect(named.info.run_name).toBe("by tag");
    expectMlflowError(
      await ground.send("POST", "/runs/create", {
        experiment_id: "0",
        run_name: "one",
        tags: [{ key: "mlflow.runName", value: "another" }],
      }),
      400,
      "INVALID_PARAMETER_VALUE",
      /different values/,
    );
  });

  it("is 404 in an experiment that is not there", async () => {
    expectMlflowError(
      await ground.send("POST", "/runs/create", { experiment_id: "12345" }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
    );
  });

  it("ends, resumes and is renamed; its name and its tag change together", async () => {
    const run_id = await newRunId();
    const { run_info } = await ground.ask<{ run_info: object }>("POST", "/runs/update", {
      run_id,
      status: "FINISHED",
      end_time: 1700000001000,
      run_name: "renamed",
    });
    expect(run_info).toMatchObject({ status: "FINISHED", end_time: 1700000001000, run_name: "renamed" });
    expect((await get(run_id)).data.tags).toEqual([{ key: "mlflow.runName", value: "renamed" }]);
    await ground.ask("POST", "/runs/set-tag", { run_id, key: "mlflow.runName", value: "by tag" });
    expect((await get(run_id)).info.run_name).toBe("by tag");
    await ground.ask("POST", "/runs/update", { run_id, status: 1 });
    expect((await get(run_id)).info).toMatchObject({ status: "RUNNING", end_time: 1700000001000 });
  });

  it("refuses a status that MLflow does not know", async () => {
    expectMlflowError(
      await ground.send("POST", "/runs/update", { run_id: await newRunId(), status: "DONE" }),
      400,
      "INVALID_PARAMETER_VALUE",
      /RUNNING, SCHEDULED, FINISHED, FAILED, KILLED/,
    );
  });

  it("is found by run_uuid, as old clients name it", async () => {
    const run_uuid = await newRunId();
    const answer = await ground.ask<{ run: RunJson }>("GET", "/runs/get", { run_uuid });
    expect(answer.run.info.run_id).toBe(run_uuid);
    await ground.ask("POST", "/runs/log-metric", { run_uuid, key: "m", value: 1, timestamp: 1 });
    expect((await get(run_uuid)).data.metrics).toHaveLength(1);
  });

  it("can be deleted and restored as often as one likes, and takes nothing while deleted", async () => {
    const run_id = await newRunId();
    for (let twice = 0; twice < 2; twice++) await ground.ask("POST", "/runs/delete", { run_id });
    for (const [path, fields] of [
      ["/runs/log-metric", { key: "m", value: 1, timestamp: 1 }],
      ["/runs/log-parameter", { key: "p", value: "1" }],
      ["/runs/set-tag", { key: "t", value: "1" }],
      ["/runs/delete-tag", { key: "mlflow.runName" }],
      ["/runs/log-batch", {}],
      ["/runs/log-inputs", {}],
      ["/runs/outputs", { models: [] }],
      ["/runs/update", { status: "FAILED" }],
    ] as const) {
      const answer = await ground.send("POST", path, { run_id, ...fields });
      expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", /must be in the 'active' state/);
    }
    for (let twice = 0; twice < 2; twice++) await ground.ask("POST", "/runs/restore", { run_id });
    expect((await get(run_id)).info.lifecycle_stage).toBe("active");
  });

  it("is 404 everywhere when it is not there", async () => {
    for (const [method, path, fields] of [
      ["GET", "/runs/get", {}],
      ["POST", "/runs/update", {}],
      ["POST", "/runs/delete", {}],
      ["POST", "/runs/log-metric", { key: "m", value: 1, timestamp: 1 }],
      ["POST", "/runs/log-batch", {}],
      ["GET", "/metrics/get-history", { metric_key: "m" }],
      ["GET", "/artifacts/list", {}],
    ] as const) {
      const answer = await ground.send(method, path, { run_id: "0".repeat(32), ...fields });
      expectMlflowError(answer, 404, "RESOURCE_DOES_NOT_EXIST", /Run with id=0+ not found/);
    }
  });
});

describe("params and tags", () => {
  it("keep a param for good: the same value again is fine, another is refused", async () => {
    const run_id = await newRunId();
    const log = (value: string) =>
      ground.send("POST", "/runs/log-parameter", { run_id, key: "depth", value });
    expect((await log("3")).status).toBe(200);
    expect((await log("3")).status).toBe(200);
    expectMlflowError(
      await log("4"),
      400,
      "INVALID_PARAMETER_VALUE",
      /Changing param values is not allowed.*'depth'.*'3'.*'4'/,
    );
    expectMlflowError(
      await ground.send("POST", "/runs/log-batch", { run_id, params: [{ key: "depth", value: "5" }] }),
      400,
      "INVALID_PARAMETER_VALUE",
      /Changing param values is not allowed/,
    );
  });

  it("take empty values and cut long ones", async () => {
    const run_id = await newRunId();
    await ground.ask("POST", "/runs/log-parameter", { run_id, key: "empty" });
    await ground.ask("POST", "/runs/log-parameter", { run_id, key: "long", value: "x".repeat(6001) });
    await ground.ask("POST", "/runs/set-tag", { run_id, key: "long", value: "\u{1F6EB}".repeat(8001) });
    const { params, tags } = (await get(run_id)).data;
    expect(params).toEqual([
      { key: "empty", value: "" },
      { key: "long", value: "x".repeat(6000) },
    ]);
    expect(tags?.[0]?.value).toBe("\u{1F6EB}".repeat(8000));
  });

  it("delete a tag once", async () => {
    const run_id = await newRunId();
    await ground.ask("POST", "/runs/set-tag", { run_id, key: "t", value: "1" });
    await ground.ask("POST", "/runs/delete-tag", { run_id, key: "t" });
    expectMlflowError(
      await ground.send("POST", "/runs/delete-tag", { run_id, key: "t" }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
      /No tag with name: t in run with id/,
    );
  });

  it.each(["../x", "a//b", "/x", "a/./b", ".", "x/", "a\\b", "a(b)", "a#b"])(
    "refuse the key %s",
    async (key) => {
      const run_id = await newRunId();
      for (const [path, fields] of [
        ["/runs/log-metric", { key, value: 1, timestamp: 1 }],
        ["/runs/log-parameter", { key, value: "1" }],
        ["/runs/set-tag", { key, value: "1" }],
        ["/runs/log-batch", { tags: [{ key, value: "1" }] }],
      ] as const) {
        expectMlflowError(
          await ground.send("POST", path, { run_id, ...fields }),
          400,
          "INVALID_PARAMETER_VALUE",
        );
      }
    },
  );

  it("take keys of letters, digits and _ - . space / :, up to 250 characters", async () => {
    const run_id = await newRunId();
    const keys = ["a/b", "a b", "a:b", "a-b_c.d", "日本", "k".repeat(250)];
    await ground.ask("POST", "/runs/log-batch", { run_id, params: keys.map((key) => ({ key, value: "1" })) });
    expect((await get(run_id)).data.params?.map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
    expectMlflowError(
      await ground.send("POST", "/runs/log-parameter", { run_id, key: "k".repeat(251), value: "1" }),
      400,
      "INVALID_PARAMETER_VALUE",
      /maximum length of 250/,
    );
  });
});

describe("the health of the answers", () => {
  it("never was a server error in these tests", () => {
    expect(ground.logged.filter(({ msg }) => msg === "request failed")).toEqual([]);
  });

  it("answers HEAD as GET, without a body", async () => {
    const answer = await call(ground.app, "HEAD", "/api/2.0/mlflow/experiments/get?experiment_id=0");
    expect([answer.status, answer.body]).toEqual([200, ""]);
  });
});
