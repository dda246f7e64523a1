import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPlatform, type Platform } from "../../platform.ts";
import { loadConfig } from "../../shared/config.ts";
import { type FunctionRoute, functionRoutes } from "../support/function-routes.ts";
import { adminToken, buildPackage, type FunctionsApp, startFunctionsApp } from "../support/functions-app.ts";

let built: Awaited<ReturnType<typeof buildPackage>>;
beforeAll(async () => {
  built = await buildPackage();
});
afterAll(() => built.remove());

describe("the package", () => {
  let app: FunctionsApp;
  let platform: Platform;
  let data: string;
  let routes: readonly FunctionRoute[];
  beforeAll(async () => {
    app = await startFunctionsApp(built.directory, "streaming");
    data = await mkdtemp(path.join(tmpdir(), "ketline-routes-"));
    platform = await createPlatform(loadConfig({ KETLINE_DATA: data, KETLINE_LOG_LEVEL: "silent" }));
    routes = functionRoutes(app.functions);
  });
  afterAll(async () => {
    await app.close();
    await platform.close();
    await rm(data, { recursive: true, force: true });
  });

  it("says how large it is, and whose share that is", () => {
    const unpacked = Number(/unpacked\s+([\d.]+) MB/.exec(built.output)?.[1]);
    expect(unpacked).toBeGreaterThan(0);
    expect(unpacked).toBeLessThan(200);
    for (const name of ["onnxruntime-node", "@duckdb/node-api", "better-sqlite3", "qsharp-lang"]) {
      expect(built.output).toMatch(new RegExp(`${name}\\s+[\\d.]+ MB`));
    }
  });

  it("has functions of every capability, and every one of them asks for no key", () => {
    const capabilities = new Set(app.functions.map(({ name }) => name.split("-")[0]));
    for (const capability of [
      ...["datasets", "tracking", "registry", "training", "serving", "monitoring"],
      ...["quantum", "environments", "system", "jobs"],
    ]) {
      expect(capabilities).toContain(capability);
    }
    const http = app.functions
      .flatMap(({ bindings }) => Object.values(bindings))
      .filter(({ type }) => type === "httpTrigger");
    expect(new Set(http.map(({ authLevel }) => authLevel))).toEqual(new Set(["anonymous"]));
  });

  it("leads each route of the application through exactly one function", () => {
    const wrong = platform.routes
      .flatMap((route) => samplePaths(route.path).map((pathname) => ({ method: route.method, pathname })))
      .map((probe) => ({ ...probe, matches: matching(routes, probe.pathname, probe.method) }))
      .filter(({ matches }) => matches.length !== 1);
    expect(wrong).toEqual([]);
  });

  it("has no two route templates that match the same path", () => {
    const probes = [
      ...routes.flatMap(({ template }) => templatePaths(template)),
      ...platform.routes.flatMap((route) => samplePaths(route.path)),
    ];
    const doubtful = probes
      .map((pathname) => ({ pathname, matches: matching(routes, pathname) }))
      .filter(({ matches }) => matches.length !== 1);
    expect(doubtful).toEqual([]);
  });

  it("runs each timer of the platform at its own times, but for those that flush one instance", async () => {
    const timers = app.functions.flatMap(({ name, bindings }) =>
      Object.values(bindings)
        .filter(({ type }) => type === "timerTrigger")
        .map(({ schedule }) => ({ name, schedule })),
    );
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    expect(timers.toSorted(byName), "the timers of the platform stand in functions/timers.ts too").toEqual(
      platform.timers
        .filter(({ name }) => !["monitoring-flush", "serving-ledger"].includes(name))
        .map(({ name, schedule }) => ({ name, schedule }))
        .toSorted(byName),
    );
    for (const { name } of timers) expect((await app.run(name)).status, name).toBe(202);
  });

  it("trains a model and serves it, in threads and processes of its own bundles", async () => {
    const rows = Array.from({ length: 400 }, (_, index) => `${index % 20},${3 * (index % 20) + 1}`);
    await run(app, "/api/v1/datasets/lines/versions?format=csv", `x,y\n${rows.join("\n")}\n`);
    const training = {
      ...{ dataset: "lines", task: "regression", target: { column: "y" }, features: [{ column: "x" }] },
      ...{ split: { holdoutFraction: 0.25 }, algorithm: { kind: "linear", l2: 0 }, registeredModel: "line" },
    };
    await run(app, "/api/v1/training", training);
    const infer = { inputs: [{ name: "x", datatype: "FP32", shape: [2, 1], data: [0, 10] }] };
    const answer = (await post(app, "/v2/models/line/infer", infer)) as { outputs: { data: number[] }[] };
    expect(answer.outputs[0]?.data.map(Math.round)).toEqual([1, 31]);
  });

  it("runs a quantum program on the simulator that came with it", async () => {
    const source = 'OPENQASM 3.0; include "stdgates.inc"; bit[1] c; qubit[1] q; x q[0]; c[0] = measure q[0];';
    const id = await run(app, "/api/v1/quantum/jobs", { language: "openqasm", source, shots: 10 });
    const job = await (await app.fetch(`/api/v1/quantum/jobs/${id}`)).json();
    expect(job).toMatchObject({ histogram: { top: [{ outcome: "1", count: 10 }] } });
  });

  it("is warmed up, and reads the queue that jobs are sent to", async () => {
    expect((await app.run("system-warmup")).status).toBe(202);
    const queues = app.functions.flatMap(({ bindings }) =>
      Object.values(bindings).flatMap(({ queueName }) => queueName ?? []),
    );
    expect(queues.toSorted()).toEqual(["ketline-jobs", "ketline-jobs-poison"]);
    const host = JSON.parse(readFileSync(path.join(built.directory, "host.json"), "utf8"));
    expect(host.extensions.http.routePrefix).toBe("");
    expect(host.extensions.queues.messageEncoding).toBe("base64");
  });
});

describe.each(["buffered", "streaming"] as const)("the application through %s functions", (mode) => {
  let app: FunctionsApp;
  beforeAll(async () => {
    app = await startFunctionsApp(built.directory, mode);
  });
  afterAll(() => app.close());

  it("answers probes, HEAD and the root", async () => {
    const health = await fetch(`${app.url}/health`);
    expect([health.status, await health.text()]).toEqual([200, "OK"]);
    const head = await fetch(`${app.url}/version`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const root = await fetch(`${app.url}/`, { redirect: "manual" });
    expect([root.status, root.headers.get("location")]).toEqual([302, "/docs"]);
  });

  it("serves the API description and the files of its reference", async () => {
    const description = await (await app.fetch("/openapi.json")).json();
    expect(description).toMatchObject({ openapi: expect.stringMatching(/^3\.1/) });
    const script = await app.fetch("/docs/swagger-ui-bundle.js");
    expect((await script.text()).length).toBeGreaterThan(100_000);
  });

  it("lets nobody in without a credential, though an app without an identity lets in its own machine", async () => {
    expect((await fetch(`${app.url}/api/v1/jobs`)).status).toBe(401);
    const basic = Buffer.from(`mlflow:${adminToken}`).toString("base64");
    expect(
      (await fetch(`${app.url}/api/v1/jobs`, { headers: { authorization: `Basic ${basic}` } })).status,
    ).toBe(200);
  });

  it.each([
    ["/api/2.0/mlflow/runs/nonsense", { error_code: "ENDPOINT_NOT_FOUND" }],
    ["/v2/nonsense", { error: expect.any(String) }],
    ["/subscriptions/s/nonsense", { error: { code: "ResourceNotFound" } }],
    ["/api/v1/jobs/nonsense", { status: 404, detail: expect.stringContaining("nonsense") }],
  ])("answers 404 for %s in the protocol of the path", async (pathname, body) => {
    const response = await app.fetch(pathname);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject(body);
  });

  it("keeps repeated query keys apart", async () => {
    const runs = [await newRun(app, 1), await newRun(app, 2)];
    const query = new URLSearchParams({ metric_key: "loss" });
    for (const id of runs) query.append("run_id", id);
    const bulk = await app.fetch(`/ajax-api/2.0/mlflow/metrics/get-history-bulk?${query}`);
    const { metrics } = (await bulk.json()) as { metrics: { run_id: string; value: number }[] };
    expect(Object.fromEntries(metrics.map(({ run_id, value }) => [run_id, value]))).toEqual({
      [runs[0] ?? ""]: 1,
      [runs[1] ?? ""]: 2,
    });
  });

  it.each([1, 5 * 1024 ** 2])("takes and gives back an artifact of %i bytes unchanged", async (size) => {
    const bytes = randomBytes(size);
    const pathname = `/api/2.0/mlflow-artifacts/artifacts/0/size-${size}/file.bin`;
    expect((await app.fetch(pathname, { method: "PUT", body: bytes })).status).toBe(200);
    const read = Buffer.from(await (await app.fetch(pathname)).arrayBuffer());
    expect(sha256(read)).toBe(sha256(bytes));
  });

  it("runs a job when its message comes, and its events reach whoever follows it", async () => {
    const { job } = await submitDataset(app, `flights-${mode}`);
    const following = app.fetch(`/api/v1/jobs/${job.id}/events`);
    if (mode === "streaming") {
      // The first event is here while the job is still waiting for its message.
      const reader = (await following).body?.getReader();
      expect(new TextDecoder().decode((await reader?.read())?.value)).toContain("retry");
      expect((await app.run("jobs-run", job.id)).status).toBe(202);
      const rest: string[] = [];
      for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
        rest.push(new TextDecoder().decode(next.value));
      }
      expect(rest.join("")).toContain('event: end\ndata: {"state":"succeeded"}');
    } else {
      expect((await app.run("jobs-run", job.id)).status).toBe(202);
      expect(await (await following).text()).toContain('event: end\ndata: {"state":"succeeded"}');
    }
    // A message may come twice, and late.
    expect((await app.run("jobs-run", job.id)).status).toBe(202);
    expect(await jobOf(app, job.id)).toMatchObject({ state: "succeeded", attempt: 1 });
  });

  it("gives a job up as failed when its message is poisoned", async () => {
    const { job } = await submitDataset(app, `poison-${mode}`);
    expect((await app.run("jobs-poison", job.id)).status).toBe(202);
    expect(await jobOf(app, job.id)).toMatchObject({
      state: "failed",
      error: expect.stringContaining("No instance"),
    });
  });
});

/** Submits work and wakes an instance until it has ended well. @returns the id of the job */
async function run(app: FunctionsApp, pathname: string, body: unknown): Promise<string> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "content-type": typeof body === "string" ? "text/csv" : "application/json" };
  const response = await app.fetch(pathname, { method: "POST", headers, body: text });
  const submitted = (await response.json()) as { id?: string; job?: { id: string } };
  expect(response.status, JSON.stringify(submitted)).toBe(202);
  const id = submitted.job?.id ?? submitted.id ?? "";
  expect((await app.run("jobs-run", id)).status).toBe(202);
  expect(await jobOf(app, id)).toMatchObject({ state: "succeeded", error: null });
  return id;
}

async function newRun(app: FunctionsApp, loss: number): Promise<string> {
  const created = await post(app, "/api/2.0/mlflow/runs/create", { experiment_id: "0" });
  const { run } = created as { run: { info: { run_id: string } } };
  const metric = { run_id: run.info.run_id, key: "loss", value: loss, timestamp: 1, step: 0 };
  await post(app, "/api/2.0/mlflow/runs/log-metric", metric);
  return run.info.run_id;
}

async function submitDataset(app: FunctionsApp, name: string): Promise<{ job: { id: string } }> {
  const response = await app.fetch(`/api/v1/datasets/${name}/versions?format=csv`, {
    method: "POST",
    body: `delay,origin\n${name.length},JFK\n-3,LAX\n`,
  });
  expect(response.status).toBe(202);
  return (await response.json()) as { job: { id: string } };
}

async function jobOf(app: FunctionsApp, id: string): Promise<unknown> {
  return (await app.fetch(`/api/v1/jobs/${id}`)).json();
}

async function post(app: FunctionsApp, pathname: string, body: unknown): Promise<unknown> {
  const headers = { "content-type": "application/json" };
  const response = await app.fetch(pathname, { method: "POST", headers, body: JSON.stringify(body) });
  expect(response.status).toBe(200);
  return response.json();
}

function matching(routes: readonly FunctionRoute[], pathname: string, method?: string): string[] {
  return routes
    .filter(
      ({ methods, match }) => (method === undefined || methods.includes(method)) && match(pathname) !== null,
    )
    .map(({ name }) => name);
}

/** Paths that a route of the application answers: each parameter as a word, and as several where it may be. */
function samplePaths(routePath: string): string[] {
  return ["x", "x/y"].map((rest) =>
    routePath.replace(/:\w+(\{[^}]*\})?\??/g, (_, pattern: string | undefined) =>
      pattern === undefined ? "x" : rest,
    ),
  );
}

/** Paths that a template answers. */
function templatePaths(template: string): string[] {
  return ["", "x", "x/y"].map((rest) => `/${template.replace(/\{\*\w+\}/, rest).replace(/\{[^}]*\}/, "")}`);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
