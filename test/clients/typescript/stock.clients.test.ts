import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createMlflowClient, type MlflowClient } from "../../../clients/mlflow/index.ts";
import { mlflow2PythonPath, pythonPath } from "../../support/python.ts";
import {
  type StockServer,
  type StockStore,
  startStockServer,
  stockStore,
} from "../../support/stock-mlflow.ts";

const stocks = [
  { version: 3, python: pythonPath() },
  { version: 2, python: mlflow2PythonPath() },
];

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe.each(stocks)("a stock server of MLflow $version", ({ version, python }) => {
  if (python === undefined) return it.skip("is not installed", () => undefined);
  let store: StockStore;
  let server: StockServer;
  let mlflow: MlflowClient;
  let experiment_id: string;

  beforeAll(async () => {
    store = await stockStore("", version === 2 ? "files" : "sqlite");
    server = await startStockServer(python, store);
    mlflow = createMlflowClient({ url: server.url });
    experiment_id = await mlflow.experiments.create({
      name: "flights",
      tags: [{ key: "team", value: "air" }],
    });
  }, 300_000);
  afterAll(async () => {
    await server?.close();
    await store?.remove();
  });

  it("keeps experiments and runs, with batches past its limits and NaN", async () => {
    const { run_id } = (await mlflow.runs.create({ experiment_id, run_name: "first" })).info;
    const steps = Array.from({ length: 1200 }, (_, step) => step);
    await mlflow.runs.logBatch(run_id, {
      metrics: steps.map((step) => ({
        key: "loss",
        value: step === 7 ? Number.NaN : step,
        step,
        timestamp: step,
      })),
      params: steps.slice(0, 150).map((n) => ({ key: `p${n}`, value: String(n) })),
    });
    await mlflow.runs.setTag(run_id, "note", "ünï");
    await mlflow.runs.update(run_id, { status: "FINISHED", end_time: 1_700_000_000_000 });
    const history = await all(mlflow.runs.metricHistory(run_id, "loss"));
    expect(history.map(({ step }) => step)).toEqual(steps);
    expect(history[7]?.value).toBeNaN();
    const [run] = await all(mlflow.runs.search({ experiment_ids: [experiment_id], max_results: 1 }));
    expect(run?.info).toMatchObject({ run_id, status: "FINISHED", end_time: 1_700_000_000_000 });
    expect(run?.data.params).toHaveLength(150);
    await mlflow.runs.delete(run_id);
    await mlflow.runs.restore(run_id);
    expect((await mlflow.experiments.getByName("flights"))?.experiment_id).toBe(experiment_id);
    expect(await mlflow.experiments.getByName("nowhere")).toBeNull();
  });

  it("takes and gives files as streams, whole and in part", async () => {
    const { artifact_uri } = (await mlflow.runs.create({ experiment_id })).info;
    const bytes = new TextEncoder().encode("0123456789".repeat(50_000));
    const body = () => new Blob([bytes]).stream();
    await mlflow.artifacts.upload(artifact_uri, "a b/ü.bin", body, { sizeBytes: bytes.length });
    expect(await all(mlflow.artifacts.walk(artifact_uri))).toEqual([
      { path: "a b/ü.bin", isDirectory: false, sizeBytes: bytes.length },
    ]);
    const { stream } = await mlflow.artifacts.download(artifact_uri, "a b/ü.bin", {
      range: { offset: 499_990, length: 5 },
    });
    let text = "";
    for await (const chunk of stream) text += new TextDecoder().decode(chunk);
    expect(text).toBe("01234");
  });

  it("keeps models, versions, stages and aliases", async () => {
    const { run_id } = (await mlflow.runs.create({ experiment_id })).info;
    await mlflow.registeredModels.create({ name: "late flights", description: "How late" });
    await mlflow.modelVersions.create({ name: "late flights", source: `runs:/${run_id}/model`, run_id });
    await mlflow.modelVersions.transitionStage("late flights", 1, "Staging");
    await mlflow.registeredModels.setAlias("late flights", "champion", 1);
    expect((await mlflow.registeredModels.getByAlias("late flights", "champion"))?.current_stage).toBe(
      "Staging",
    );
    expect(await mlflow.registeredModels.getByAlias("late flights", "nobody")).toBeNull();
    await mlflow.registeredModels.deleteAlias("late flights", "champion");
    expect(await all(mlflow.modelVersions.search({ filter: "name = 'late flights'" }))).toHaveLength(1);
    expect(await mlflow.registeredModels.get("nobody")).toBeNull();
  });

  it("is known to have logged models, or not", async () => {
    expect(await mlflow.loggedModels.areSupported()).toBe(version >= 3);
    if (version >= 3) {
      const { info } = await mlflow.loggedModels.create({ experiment_id, name: "trees" });
      expect((await mlflow.loggedModels.finalize(info.model_id, "LOGGED_MODEL_READY")).info.model_id).toBe(
        info.model_id,
      );
    } else {
      await expect(mlflow.loggedModels.create({ experiment_id })).rejects.toMatchObject({
        code: "ENDPOINT_NOT_FOUND",
      });
    }
  });
});

describe("an endpoint that answers as Azure ML's does", () => {
  const workspace =
    "/mlflow/v1.0/subscriptions/s/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces/w";
  const asked: string[] = [];
  let server: Server;
  let url: string;

  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      const send = (status: number, body: object) => {
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      };
      if (request.headers.authorization !== "Bearer entra") {
        return send(401, { error: { code: "UserError", message: "Bearer token not provided." } });
      }
      if (request.url?.startsWith(`${workspace}/api/2.0/mlflow/experiments/get?`)) {
        return send(200, { experiment: { experiment_id: "a-guid", name: "flights" } });
      }
      return send(404, { error: { code: "NotFound", message: "There is no such resource." } });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${workspace}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  it("is called below its workspace with the token of a function", async () => {
    const azure = createMlflowClient({ url, auth: async () => "entra" });
    expect((await azure.experiments.get("a-guid")).name).toBe("flights");
  });

  it("tells its errors in its own shape", async () => {
    await expect(createMlflowClient({ url }).experiments.get("1")).rejects.toMatchObject({
      code: "UserError",
      status: 401,
      message: "Bearer token not provided.",
    });
    const azure = createMlflowClient({ url, auth: async () => "entra" });
    expect(await azure.registeredModels.get("nobody")).toBeNull();
  });

  it("is never asked for what it does not have", async () => {
    const azure = createMlflowClient({ url, auth: async () => "entra" });
    expect(await azure.loggedModels.areSupported()).toBe(false);
    await expect(azure.loggedModels.get("m-1")).rejects.toMatchObject({ code: "ENDPOINT_NOT_FOUND" });
    expect(asked.filter((call) => /logged-models|\/api\/3\.0/.test(call))).toEqual([]);
  });
});
