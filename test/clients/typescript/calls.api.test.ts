import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createMlflowClient,
  isMlflowError,
  ketlineExtension,
  type MlflowClient,
} from "../../../clients/mlflow/index.ts";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";

let ground: MlflowGround;
let mlflow: MlflowClient;

beforeAll(async () => {
  ground = await mlflowGround({ KETLINE_LOG_LEVEL: "warn" });
  mlflow = createMlflowClient({
    url: "http://localhost",
    fetch: async (input, init) => ground.app.fetch(new Request(input, init)),
    retries: { count: 0 },
  });
});
afterAll(() => ground.close());

let names = 0;
const fresh = (what: string) => `${what}-${++names}`;
const newExperiment = () => mlflow.experiments.create({ name: fresh("experiment") });
const newRun = async () => (await mlflow.runs.create({ experiment_id: "0" })).info;

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const text = async (stream: ReadableStream<Uint8Array>) =>
  new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).text();

describe("experiments", () => {
  it("are created, found by name, renamed, tagged, deleted and restored", async () => {
    const name = fresh("flights");
    const id = await mlflow.experiments.create({ name, tags: [{ key: "team", value: "air" }] });
    await mlflow.experiments.setTag(id, "stage", "trial");
    await mlflow.experiments.update(id, { new_name: `${name}-2` });
    const renamed = await mlflow.experiments.getByName(`${name}-2`);
    expect(renamed?.experiment_id).toBe(id);
    expect(renamed?.tags).toEqual([
      { key: "stage", value: "trial" },
      { key: "team", value: "air" },
    ]);
    await mlflow.experiments.delete(id);
    expect((await mlflow.experiments.get(id)).lifecycle_stage).toBe("deleted");
    await mlflow.experiments.restore(id);
    expect((await mlflow.experiments.get(id)).lifecycle_stage).toBe("active");
  });

  it("that are not there are null by name and an error by id", async () => {
    expect(await mlflow.experiments.getByName("nowhere")).toBeNull();
    await expect(mlflow.experiments.get("987654")).rejects.toMatchObject({
      name: "MlflowError",
      code: "RESOURCE_DOES_NOT_EXIST",
      status: 404,
    });
  });

  it("are searched through all pages", async () => {
    const made = await Promise.all([newExperiment(), newExperiment(), newExperiment()]);
    const found = await all(mlflow.experiments.search({ max_results: 2, view_type: "ALL" }));
    expect(found.map(({ experiment_id }) => experiment_id)).toEqual(expect.arrayContaining(made));
  });
});

describe("runs", () => {
  it("keep what is logged to them, one by one", async () => {
    const { run_id } = await newRun();
    await mlflow.runs.logMetric(run_id, { key: "loss", value: 0.5, step: 3, timestamp: 1_700_000_000_000 });
    await mlflow.runs.logParam(run_id, "depth", "4");
    await mlflow.runs.setTag(run_id, "note", "first");
    await mlflow.runs.setTag(run_id, "gone", "soon");
    await mlflow.runs.deleteTag(run_id, "gone");
    await mlflow.runs.update(run_id, { status: "FINISHED", end_time: 1_700_000_001_000 });
    const run = await mlflow.runs.get(run_id);
    expect(run.info).toMatchObject({ status: "FINISHED", end_time: 1_700_000_001_000 });
    expect(run.data.metrics).toEqual([{ key: "loss", value: 0.5, step: 3, timestamp: 1_700_000_000_000 }]);
    expect(run.data.params).toEqual([{ key: "depth", value: "4" }]);
    expect(run.data.tags).toContainEqual({ key: "note", value: "first" });
    expect(run.data.tags.map(({ key }) => key)).not.toContain("gone");
  });

  it("take batches past MLflow's limits, and give long histories back in order", async () => {
    const { run_id } = await newRun();
    const steps = Array.from({ length: 2500 }, (_, step) => step);
    await mlflow.runs.logBatch(run_id, {
      metrics: steps.map((step) => ({ key: "loss", value: 1 / (step + 1), step, timestamp: 1000 + step })),
      params: steps.slice(0, 250).map((n) => ({ key: `p${n}`, value: "ü".repeat(6000) })),
      tags: steps.slice(0, 150).map((n) => ({ key: `t${n}`, value: String(n) })),
    });
    const history = await all(mlflow.runs.metricHistory(run_id, "loss"));
    expect(history.map(({ step }) => step)).toEqual(steps);
    const page = await mlflow.runs.metricHistoryPage(run_id, "loss", { max_results: 10 });
    expect(page.items).toHaveLength(10);
    expect(page.nextPageToken).toBeDefined();
    const run = await mlflow.runs.get(run_id);
    expect(run.data.params).toHaveLength(250);
    expect(run.data.params[0]?.value).toHaveLength(6000);
    expect(run.data.tags.filter(({ key }) => /^t\d/.test(key))).toHaveLength(150);
  });

  it("keep NaN and infinities as numbers", async () => {
    const { run_id } = await newRun();
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    await mlflow.runs.logBatch(run_id, {
      metrics: values.map((value, step) => ({ key: "odd", value, step, timestamp: step })),
    });
    const history = await all(mlflow.runs.metricHistory(run_id, "odd"));
    // MLflow's store keeps infinities as the largest finite numbers.
    expect(history.map(({ value }) => value)).toEqual([Number.NaN, Number.MAX_VALUE, -Number.MAX_VALUE]);
  });

  it("are searched page by page and as one sequence, deleted and restored", async () => {
    const experiment_id = await newExperiment();
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      ids.push((await mlflow.runs.create({ experiment_id, start_time: 1000 + n })).info.run_id);
    }
    const search = {
      experiment_ids: [experiment_id],
      order_by: ["attributes.start_time ASC"],
      max_results: 2,
    };
    expect((await mlflow.runs.searchPage(search)).items).toHaveLength(2);
    const idsOf = async (view: "ACTIVE_ONLY" | "DELETED_ONLY") =>
      (await all(mlflow.runs.search({ ...search, run_view_type: view }))).map(({ info }) => info.run_id);
    expect(await idsOf("ACTIVE_ONLY")).toEqual(ids);
    await mlflow.runs.delete(ids[0] ?? "");
    expect(await idsOf("DELETED_ONLY")).toEqual(ids.slice(0, 1));
    await mlflow.runs.restore(ids[0] ?? "");
    expect(await idsOf("ACTIVE_ONLY")).toEqual(ids);
  });

  it("name their inputs and outputs", async () => {
    const { run_id } = await newRun();
    const model = await mlflow.loggedModels.create({ experiment_id: "0", source_run_id: run_id });
    const dataset = { name: "flights", digest: "d1", source_type: "local", source: "{}", schema: "{}" };
    const tags = [{ key: "mlflow.data.context", value: "training" }];
    await mlflow.runs.logInputs(run_id, { datasets: [{ tags, dataset }] });
    await mlflow.runs.logOutputs(run_id, [{ model_id: model.info.model_id, step: 2 }]);
    const model_json = { artifact_path: "m", flavors: {}, utc_time_created: "2026-01-01 00:00:00", run_id };
    await mlflow.runs.logModel(run_id, model_json);
    const run = await mlflow.runs.get(run_id);
    expect(run.inputs.dataset_inputs).toEqual([{ tags, dataset }]);
    expect(run.outputs.model_outputs).toEqual([{ model_id: model.info.model_id, step: 2 }]);
    expect(run.data.tags.map(({ key }) => key)).toContain("mlflow.log-model.history");
  });
});

describe("logged models", () => {
  it("are created, found, described, finalized and deleted", async () => {
    const experiment_id = await newExperiment();
    const { info } = await mlflow.loggedModels.create({ experiment_id, name: "trees", model_type: "gbm" });
    await mlflow.loggedModels.logParams(info.model_id, [{ key: "depth", value: "4" }]);
    await mlflow.loggedModels.setTags(info.model_id, [
      { key: "a", value: "1" },
      { key: "b/c", value: "2" },
    ]);
    await mlflow.loggedModels.deleteTag(info.model_id, "b/c");
    await mlflow.loggedModels.finalize(info.model_id, "LOGGED_MODEL_READY");
    const [found] = await all(mlflow.loggedModels.search({ experiment_ids: [experiment_id] }));
    expect(found?.info).toMatchObject({ name: "trees", status: "LOGGED_MODEL_READY" });
    expect(found?.info.tags).toEqual([{ key: "a", value: "1" }]);
    expect(found?.data.params).toEqual([{ key: "depth", value: "4" }]);
    expect(await mlflow.loggedModels.areSupported()).toBe(true);
    await mlflow.loggedModels.delete(info.model_id);
    await expect(mlflow.loggedModels.get(info.model_id)).rejects.toMatchObject({ status: 404 });
  });
});

describe("the registry", () => {
  async function newVersion(name: string) {
    const { run_id } = await newRun();
    return mlflow.modelVersions.create({ name, source: `runs:/${run_id}/model`, run_id });
  }

  it("keeps models with their versions, tags and descriptions", async () => {
    const name = fresh("trees");
    await mlflow.registeredModels.create({
      name,
      description: "first",
      tags: [{ key: "team", value: "air" }],
    });
    await mlflow.registeredModels.update(name, { description: "second" });
    await mlflow.registeredModels.setTag(name, "a", "1");
    await mlflow.registeredModels.deleteTag(name, "a");
    await newVersion(name);
    await mlflow.modelVersions.update(name, 1, { description: "one" });
    await mlflow.modelVersions.setTag(name, 1, "b", "2");
    await mlflow.modelVersions.setTag(name, 1, "c", "3");
    await mlflow.modelVersions.deleteTag(name, 1, "c");
    const version = await mlflow.modelVersions.get(name, 1);
    expect(version).toMatchObject({ version: "1", description: "one", tags: [{ key: "b", value: "2" }] });
    expect(await mlflow.modelVersions.downloadUri(name, 1)).toMatch(/^mlflow-artifacts:.*\/model$/);
    const model = await mlflow.registeredModels.get(name);
    expect(model).toMatchObject({ description: "second", tags: [{ key: "team", value: "air" }] });
    expect(await all(mlflow.modelVersions.search({ filter: `name = '${name}'` }))).toHaveLength(1);
    expect((await all(mlflow.registeredModels.search())).map((one) => one.name)).toContain(name);
    await mlflow.registeredModels.rename(name, `${name}-new`);
    await mlflow.modelVersions.delete(`${name}-new`, 1);
    expect(await mlflow.modelVersions.get(`${name}-new`, 1)).toBeNull();
    await mlflow.registeredModels.delete(`${name}-new`);
    expect(await mlflow.registeredModels.get(`${name}-new`)).toBeNull();
  });

  it("moves aliases and stages", async () => {
    const name = fresh("trees");
    await mlflow.registeredModels.create({ name });
    await newVersion(name);
    await newVersion(name);
    await mlflow.registeredModels.setAlias(name, "champion", 1);
    expect((await mlflow.registeredModels.getByAlias(name, "champion"))?.version).toBe("1");
    await mlflow.registeredModels.deleteAlias(name, "champion");
    expect(await mlflow.registeredModels.getByAlias(name, "champion")).toBeNull();
    expect(await mlflow.registeredModels.getByAlias("nobody", "champion")).toBeNull();
    await mlflow.modelVersions.transitionStage(name, 1, "Production");
    await mlflow.modelVersions.transitionStage(name, 2, "Production", { archive_existing_versions: true });
    const latest = await mlflow.registeredModels.latestVersions(name);
    expect(latest.map(({ version, current_stage }) => [version, current_stage]).toSorted()).toEqual([
      ["1", "Archived"],
      ["2", "Production"],
    ]);
  });

  it("remembers its history and rolls aliases back, on Ketline", async () => {
    const name = fresh("trees");
    const ketline = ketlineExtension(mlflow);
    await mlflow.registeredModels.create({ name });
    await newVersion(name);
    await newVersion(name);
    await mlflow.registeredModels.setAlias(name, "champion", 1);
    await mlflow.registeredModels.setAlias(name, "champion", 2);
    const move = await ketline.rollbackAlias(name, "champion", { reason: "worse" });
    expect(move).toMatchObject({ before: 2, after: 1 });
    const events = await all(ketline.history(name, { alias: "champion" }));
    expect(events.map(({ after }) => after)).toEqual([1, 2, 1]);
    expect(events[0]?.reason).toBe("worse");
    await expect(ketline.rollbackAlias("nobody", "champion")).rejects.toSatisfy((error) =>
      isMlflowError(error),
    );
  });
});

describe("artifacts", () => {
  it("are uploaded, listed, downloaded whole and in ranges, and deleted", async () => {
    const { artifact_uri } = await newRun();
    const bytes = new TextEncoder().encode("0123456789");
    await mlflow.artifacts.upload(artifact_uri, "a b/ü.txt", bytes, { contentType: "text/plain" });
    const stream = () => new Blob([bytes]).stream();
    await mlflow.artifacts.upload(artifact_uri, "top.bin", stream, { sizeBytes: bytes.length });
    expect(await mlflow.artifacts.list(artifact_uri)).toEqual([
      { path: "a b", isDirectory: true },
      { path: "top.bin", isDirectory: false, sizeBytes: 10 },
    ]);
    const files = await all(mlflow.artifacts.walk(artifact_uri));
    expect(files.map(({ path }) => path)).toEqual(["a b/ü.txt", "top.bin"]);
    const whole = await mlflow.artifacts.download(artifact_uri, "a b/ü.txt");
    expect(whole.sizeBytes).toBe(10);
    expect(await text(whole.stream)).toBe("0123456789");
    const part = await mlflow.artifacts.download(artifact_uri, "top.bin", {
      range: { offset: 3, length: 4 },
    });
    expect(await text(part.stream)).toBe("3456");
    await mlflow.artifacts.delete(artifact_uri, "a b");
    expect(await all(mlflow.artifacts.walk(artifact_uri))).toHaveLength(1);
    expect(await mlflow.artifacts.list(artifact_uri, "nothing")).toEqual([]);
  });

  it("that the server does not serve, or that leave their root, are refused before anything is sent", async () => {
    const nowhere = createMlflowClient({
      url: "http://a.test",
      fetch: () => Promise.reject(new Error("it was asked")),
    });
    await expect(nowhere.artifacts.list("s3://bucket/run")).rejects.toMatchObject({ code: "NOT_PROXIED" });
    await expect(nowhere.artifacts.list("mlflow-artifacts://b.test/1")).rejects.toMatchObject({
      code: "NOT_PROXIED",
    });
    await expect(nowhere.artifacts.download("mlflow-artifacts:/1/run", "../other")).rejects.toMatchObject({
      code: "INVALID_PARAMETER_VALUE",
    });
  });
});
