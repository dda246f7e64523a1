import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MlflowGround, mlflowGround } from "../support/mlflow.ts";
import { openTwoWays, type Sent, type TwoWays } from "./two-ways.ts";

const json = { "content-type": "application/json" };
const api = "/api/2.0/mlflow";

describe("MLflow's calls", () => {
  let ground: MlflowGround;
  let ways: TwoWays;
  let runId: string;
  beforeAll(async () => {
    ground = await mlflowGround();
    const { tracking, registry, webhooks, identity, logger } = ground;
    const routes = [...tracking.routes, ...registry.routes, ...webhooks.routes];
    ways = await openTwoWays({ routes, identity, logger });
    const { run } = await ground.ask<{ run: { info: { run_id: string } } }>("POST", "/runs/create", {
      experiment_id: "0",
      run_name: "ünï",
    });
    runId = run.info.run_id;
    await ground.ask("POST", "/registered-models/create", { name: "späte flüge" });
  });
  afterAll(async () => {
    await ways.stop();
    await ground.close();
  });

  const post = (path: string, fields: unknown, headers: Sent["headers"] = json): Sent => ({
    path: `${api}${path}`,
    headers,
    body: typeof fields === "string" ? fields : JSON.stringify(fields),
  });
  const get = (path: string): Sent => ({ method: "GET", path: `${api}${path}`, bodiless: true });
  const metric = { key: "loss", value: 0.5, timestamp: 1, step: 1 };

  const shorter: readonly [label: string, status: number, sent: () => Sent][] = [
    ["a read", 200, () => get(`/runs/get?run_id=${runId}`)],
    ["a read by its old name", 200, () => get(`/runs/get?run_uuid=${runId}`)],
    [
      "a read under the web page's prefix",
      200,
      () => ({ ...get(""), path: `/ajax${`-${api.slice(1)}`}/runs/get?run_id=${runId}` }),
    ],
    ["a query with escapes", 200, () => get("/registered-models/get?name=sp%C3%A4te+fl%C3%BCge")],
    ["a query with bare blanks' escapes", 404, () => get("/registered-models/get?name=a%20b%26c")],
    ["a repeated key", 200, () => get("/metrics/get-history-bulk?run_id=x&run_id=y&metric_key=loss")],
    ["a missing parameter", 400, () => get("/runs/get")],
    ["an empty query", 400, () => get("/runs/get?")],
    ["an unknown run", 404, () => get("/runs/get?run_id=gone")],
    ["a write", 200, () => post("/runs/log-metric", { run_id: runId, ...metric })],
    ["NaN", 200, () => post("/runs/log-metric", { run_id: runId, ...metric, value: "NaN" })],
    [
      "a batch",
      200,
      () => post("/runs/log-batch", { run_id: runId, metrics: [metric], params: [], tags: [] }),
    ],
    [
      "a batch that is too long",
      400,
      () => post("/runs/log-batch", { run_id: runId, x: "y".repeat(1_100_000) }),
    ],
    ["a search", 200, () => post("/runs/search", { experiment_ids: ["0"], filter: "metrics.loss > 0" })],
    ["a filter that is none", 400, () => post("/runs/search", { experiment_ids: ["0"], filter: "loss >" })],
    ["a wrong type", 400, () => post("/runs/log-metric", { run_id: 5, ...metric })],
    ["what is not JSON", 400, () => post("/runs/log-metric", "{")],
    ["no content type", 400, () => post("/runs/log-metric", { run_id: runId, ...metric }, {})],
    [
      "a patch",
      200,
      () => ({
        ...post("/registered-models/update", { name: "späte flüge", description: "d" }),
        method: "PATCH",
      }),
    ],
    [
      "a deletion of nothing",
      404,
      () => ({ ...post("/registered-models/delete", { name: "gone" }), method: "DELETE" }),
    ],
    ["an id in the path", 404, () => get("/logged-models/m-0123456789abcdef0123456789abcdef")],
    [
      "the page of another host",
      403,
      () => ({ ...get("/runs/get?run_id=x"), headers: { origin: "http://other.example" } }),
    ],
  ];
  for (const [label, status, sent] of shorter) {
    it(`answer ${label} alike on the shorter way`, async () => {
      expect(await ways.both(sent())).toMatchObject({ status, isShort: true });
    });
  }

  const longer: readonly [label: string, status: number, sent: () => Sent][] = [
    ["a head", 200, () => ({ ...get(`/runs/get?run_id=${runId}`), method: "HEAD" })],
    ["an id that is written with percent signs", 404, () => get("/logged-models/m%2D1")],
    ["a file", 404, () => get(`/logged-models/m-1/artifacts/files?artifact_file_path=x`)],
    ["an unknown call", 404, () => get("/gateway/routes")],
  ];
  it("read a GET that has no query from its body, as clients of MLflow send it", async () => {
    const sent = { ...post("/runs/get", { run_id: runId }), method: "GET" };
    const answer = await ways.short(sent);
    expect(JSON.parse(answer.body)).toMatchObject({ run: { info: { run_id: runId } } });
    const other = await ways.usual(sent);
    expect(other.status).toBe(400);
    expect(other.body).toContain(
      "The body of this GET could not be read here; send the parameters in the query",
    );
  });

  for (const [label, status, sent] of longer) {
    it(`leave ${label} to the usual way`, async () => {
      expect(await ways.both(sent())).toMatchObject({ status, isShort: false });
    });
  }
});
