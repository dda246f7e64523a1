import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Route } from "../../../shared/http/index.ts";
import { encodeModel } from "../../../shared/onnx/index.ts";
import { identityModel, linearModel } from "../../models/serving/models.ts";
import type { FuzzRequest } from "./exchange.ts";

/** What is really there, so that requests come deep. */
export interface FuzzGround {
  /** The good requests that made it, by their route. */
  readonly recorded: ReadonlyMap<Route, readonly FuzzRequest[]>;
  /** What answers and paths had under a name: `run_id`, or `deployments.name` for what stands behind a segment. */
  readonly values: ReadonlyMap<string, readonly string[]>;
}

const examples = path.resolve(import.meta.dirname, "../../../examples/quantum");
const valuesPerName = 40;

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON. */
  readonly body: Json;
}
type Json = { readonly [key: string]: Json } & readonly Json[] & string;

/**
 * Makes an experiment with runs, a model with versions and an alias, a deployment, a data set, a training, monitors,
 * batch predictions, webhooks, tokens, uploads in parts and quantum jobs on both planes.
 *
 * @param round makes names of their own, so that what was deleted can be made once more
 */
export async function buildGround(url: string, routes: readonly Route[], round: number): Promise<FuzzGround> {
  const recorded = new Map<Route, FuzzRequest[]>();
  const values = new Map<string, string[]>();
  const matchers = routes.map((route) => ({ route, pattern: patternOf(route.path) }));

  const note = (name: string, value: string) => {
    const known = values.get(name) ?? [];
    if (!known.includes(value)) values.set(name, [value, ...known].slice(0, valuesPerName));
  };
  const noteAll = (json: unknown, name = ""): void => {
    if (typeof json === "string" && json.length <= 2000) note(name, json);
    else if (typeof json === "number") note(name, String(json));
    else if (Array.isArray(json)) for (const item of json.slice(0, 20)) noteAll(item, name);
    else if (typeof json === "object" && json !== null) {
      for (const [key, value] of Object.entries(json)) noteAll(value, key);
    }
  };

  async function send(
    method: string,
    target: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Reply> {
    const isRaw = body instanceof Uint8Array || typeof body === "string";
    const bytes = body === undefined ? undefined : Buffer.from(isRaw ? body : JSON.stringify(body));
    const all = {
      ...(body === undefined || isRaw ? {} : { "content-type": "application/json" }),
      ...headers,
    };
    const response = await fetch(new URL(target, url), {
      method,
      headers: all,
      ...(bytes === undefined ? {} : { body: new Uint8Array(bytes) }),
    });
    const text = await response.text();
    if (response.status >= 400) throw new Error(`${method} ${target} answered ${response.status}: ${text}`);
    const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "");
    const json = isJson && text !== "" ? JSON.parse(text) : text;
    noteAll(json);
    if (isJson && typeof body === "object" && !isRaw) noteAll(body);
    const { pathname, search } = new URL(target, url);
    // MLflow's page asks for the same below another prefix.
    for (const twin of new Set([pathname, pathname.replace(/^\/api\/2/, "/ajax-api/2")])) {
      record({ method, target: twin + search, headers: all, body: bytes }, twin);
    }
    return { status: response.status, headers: response.headers, body: json };
  }

  function record(request: FuzzRequest, pathname: string): void {
    for (const { route, pattern } of matchers) {
      const match = route.method === request.method ? pattern.exec(pathname) : null;
      if (match === null) continue;
      recorded.set(route, [...(recorded.get(route) ?? []), request]);
      for (const [name, value] of Object.entries(match.groups ?? {})) {
        const segments = route.path.split(`/:${name}`)[0]?.split("/") ?? [];
        note(`${segments.at(-1) ?? ""}.${name}`, decodeURIComponent(value));
      }
      return;
    }
  }

  const mlflow = (call: string, body: object, method = "POST") =>
    send(method, `/api/2.0/mlflow/${call}`, body).then(({ body }) => body);
  const job = async (target: string, body: object, method = "POST") => {
    const { body: submitted } = await send(method, target, body);
    const id = String(submitted.id);
    for (let tries = 0; tries < 600; tries++) {
      const { body: now } = await send("GET", `/api/v1/jobs/${id}`);
      if (["succeeded", "failed", "cancelled"].includes(String(now.state))) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return id;
  };
  const named = (name: string) => `${name}-${round}`;

  await tracking();
  await registryAndServing();
  await datasetsAndTraining();
  await quantum();
  await rest();
  return { recorded, values };

  async function tracking(): Promise<void> {
    const tags = [{ key: "team", value: "a" }];
    const { experiment_id } = await mlflow("experiments/create", { name: named("e"), tags });
    await mlflow("experiments/set-experiment-tag", { experiment_id, key: "k", value: "v" });
    await mlflow("experiments/update", { experiment_id, new_name: named("experiment") });
    const run = async (name: string) => {
      const body = { experiment_id, user_id: "u", run_name: name, start_time: 1.7e12, tags };
      return (await mlflow("runs/create", body)).run?.info?.run_id;
    };
    const [run_id, other] = [await run("one"), await run("two")];
    await mlflow("runs/log-metric", { run_id, key: "loss", value: 0.5, timestamp: 1.7e12, step: 1 });
    await mlflow("runs/log-parameter", { run_id, key: "rate", value: "0.1" });
    await mlflow("runs/set-tag", { run_id, key: "note", value: "good" });
    const metrics = Array.from({ length: 20 }, (_, step) => ({
      key: "auc",
      value: step / 20,
      timestamp: 1.7e12,
      step,
    }));
    const params = [{ key: "depth", value: "3" }];
    await mlflow("runs/log-batch", { run_id, metrics, params, tags });
    const dataset = {
      name: "d",
      digest: "abc",
      source_type: "local",
      source: "s",
      schema: "{}",
      profile: "{}",
    };
    await mlflow("runs/log-inputs", {
      run_id,
      datasets: [{ tags: [{ key: "mlflow.data.context", value: "train" }], dataset }],
    });
    await mlflow("runs/update", { run_id, status: "FINISHED", end_time: 1.7e12 + 5000, run_name: "renamed" });
    await mlflow("runs/delete", { run_id: other });
    await mlflow("runs/restore", { run_id: other });
    const filter =
      "metrics.auc > 0.1 AND params.depth = '3' AND tags.team LIKE 'a%' AND attributes.status = 'FINISHED'";
    await mlflow("runs/search", {
      experiment_ids: [experiment_id],
      filter,
      order_by: ["metrics.auc DESC"],
      max_results: 1,
    });
    await mlflow("experiments/search", { max_results: 1, filter: "name LIKE 'e%'", order_by: ["name ASC"] });
    await send("GET", `/api/2.0/mlflow/metrics/get-history?run_id=${run_id}&metric_key=auc&max_results=3`);
    await send(
      "GET",
      `/api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids=${run_id}&metric_key=auc&max_results=5`,
    ).catch(() => {});
    const model = await mlflow("logged-models", {
      experiment_id,
      name: "lm",
      model_type: "x",
      source_run_id: run_id,
      params,
      tags,
    });
    const model_id = model.model?.info?.model_id;
    await mlflow(`logged-models/${model_id}`, { status: "LOGGED_MODEL_READY" }, "PATCH");
    await mlflow(`logged-models/${model_id}/tags`, { tags }, "PATCH");
    await mlflow(`logged-models/${model_id}/params`, { params: [{ key: "p", value: "1" }] });
    await mlflow("runs/outputs", { run_id, models: [{ model_id, step: 1 }] });
    await mlflow("logged-models/search", {
      experiment_ids: [experiment_id],
      filter: "name = 'lm'",
      datasets: [{ dataset_name: "d", dataset_digest: "abc" }],
      order_by: [{ field_name: "metrics.auc", ascending: false }],
    });
    const artifacts = `/api/2.0/mlflow-artifacts/artifacts/${experiment_id}/${run_id}/artifacts`;
    await send("PUT", `${artifacts}/a/notes.txt`, "some text", { "content-type": "text/plain" });
    await send("GET", `${artifacts}/a/notes.txt`, undefined, { range: "bytes=2-5" });
    await send("GET", `/api/2.0/mlflow-artifacts/artifacts?path=${experiment_id}/${run_id}/artifacts`);
    const upload = { path: "large.bin", num_parts: 2 };
    const directory = `${experiment_id}/${run_id}/artifacts/parts`;
    const begun = (await send("POST", `/api/2.0/mlflow-artifacts/mpu/create/${directory}`, upload)).body;
    const parts: object[] = [];
    for (const { url: target, part_number } of begun.credentials ?? []) {
      const { headers } = await send("PUT", String(target), "part");
      parts.push({ part_number, etag: headers.get("etag") ?? "", url: target });
    }
    const end = { path: "large.bin", upload_id: begun.upload_id, parts };
    await send("POST", `/api/2.0/mlflow-artifacts/mpu/complete/${directory}`, end);
  }

  async function registryAndServing(): Promise<void> {
    for (const [name, model] of [
      [named("linear"), linearModel([1, 2], 1)],
      [named("texts"), identityModel("string")],
    ] as const) {
      await mlflow("registered-models/create", { name, description: "d", tags: [{ key: "a", value: "b" }] });
      for (const version of ["1", "2"]) {
        const folder = `0/fuzz/${name}/${version}`;
        await send(
          "PUT",
          `/api/2.0/mlflow-artifacts/artifacts/${folder}/model.onnx`,
          Buffer.from(encodeModel(model)),
        );
        const source = `mlflow-artifacts:/${folder}`;
        await mlflow("model-versions/create", {
          name,
          source,
          description: "d",
          tags: [{ key: "a", value: "b" }],
        });
      }
      await mlflow("registered-models/alias", { name, alias: "champion", version: "1" });
    }
    const name = named("linear");
    await mlflow("registered-models/update", { name, description: "x" }, "PATCH");
    await mlflow("registered-models/set-tag", { name, key: "t", value: "v" });
    await mlflow("model-versions/set-tag", { name, version: "1", key: "t", value: "v" });
    await mlflow("model-versions/update", { name, version: "1", description: "x" }, "PATCH");
    await mlflow("model-versions/transition-stage", {
      name,
      version: "2",
      stage: "Staging",
      archive_existing_versions: true,
    });
    await mlflow("webhooks", {
      name: named("hook"),
      url: "http://127.0.0.1:9/hook",
      events: [{ entity: "REGISTERED_MODEL", action: "CREATED" }],
    }).catch(() => {});
    const variants = [
      { name: "old", model: name, version: "1", weight: 50 },
      { name: "new", model: name, alias: "champion", weight: 50 },
    ];
    const spec = { variants, sticky: { by: "header", name: "x-customer" }, reason: "fuzz" };
    const deployment = named("shop");
    await send("PUT", `/api/v1/deployments/${deployment}`, spec);
    await send(
      "PATCH",
      `/api/v1/deployments/${deployment}`,
      { variants: variants.slice(0, 1).map((one) => ({ ...one, weight: 100 })) },
      { "if-match": '"1"' },
    );
    await send("POST", `/api/v1/deployments/${deployment}/rollback`, { toRevision: 1, reason: "back" });
    const input = { name: "X", shape: [2, 2], datatype: "FP32", data: [1, 2, 3, 4] };
    for (const model of [name, deployment]) {
      await send("POST", `/v2/models/${model}/infer`, { id: "1", inputs: [input], outputs: [{ name: "Y" }] });
      const head = JSON.stringify({
        inputs: [{ ...input, data: undefined, parameters: { binary_data_size: 16 } }],
        outputs: [{ name: "Y", parameters: { binary_data: true } }],
      });
      await send(
        "POST",
        `/v2/models/${model}/infer`,
        Buffer.concat([Buffer.from(head), Buffer.from(new Float32Array([1, 2, 3, 4]).buffer)]),
        {
          "content-type": "application/octet-stream",
          "inference-header-content-length": String(head.length),
        },
      );
    }
    const words = { name: "X", shape: [1, 2], datatype: "BYTES", data: ["a", "é"] };
    await send("POST", `/v2/models/${named("texts")}/infer`, { inputs: [words] }).catch(() => {});
    const frame = {
      columns: ["a", "b"],
      data: [
        [1, 2],
        [3, 4],
      ],
    };
    const scoring = `/serving/${deployment}/invocations`;
    await send("POST", scoring, { dataframe_split: frame, params: {} });
    await send("POST", scoring, { dataframe_records: [{ a: 1, b: 2 }] });
    await send("POST", scoring, { inputs: [[1, 2]] });
    await send("POST", scoring, "a,b\n1,2\n3,4\n", { "content-type": "text/csv" });
    await send("POST", "/v2/repository/index", { ready: true });
    await send("GET", `/api/v1/deployments/${deployment}/comparison`).catch(() => {});
  }

  async function datasetsAndTraining(): Promise<void> {
    const dataset = named("table");
    const rows = Array.from({ length: 300 }, (_, row) => {
      const day = new Date(Date.UTC(2001, 0, 1 + Math.floor(row / 5))).toISOString().slice(0, 10);
      return [day, row % 7, (row * 37) % 11, ["x", "y", "z"][row % 3], (row * 13) % 29, row % 2].join(",");
    });
    const csv = `day,a,b,constructor,target,__proto__\n${rows.join("\n")}\n`;
    const uploaded = await send("POST", `/api/v1/datasets/${dataset}/versions?format=csv`, csv, {
      "content-type": "text/csv",
    });
    const lines = rows
      .slice(0, 40)
      .map((_, row) => JSON.stringify({ a: row, b: { c: [row] }, constructor: "x" }));
    await send("POST", `/api/v1/datasets/${named("lines")}/versions?format=jsonl`, lines.join("\n")).catch(
      () => {},
    );
    await settled(uploaded);
    const { body } = await send("GET", `/api/v1/datasets/${dataset}/versions/latest`);
    const version = String(body.version);
    await send("PUT", `/api/v1/datasets/${dataset}`, { description: "d", expectations: [] }).catch(() => {});
    await send("GET", `/api/v1/datasets/${dataset}/versions/${version}/content`);
    const upload = await send("POST", `/api/v1/datasets/${dataset}/uploads`, { format: "csv" }).catch(
      () => undefined,
    );
    if (upload !== undefined) {
      const { id, url: target } = upload.body;
      await send("PUT", String(target), csv, { "x-ms-blob-type": "BlockBlob" }).catch(() => {});
      await send("POST", `/api/v1/datasets/${dataset}/uploads/${id}/complete`, {}).catch(() => {});
    }
    const split = {
      timeColumn: "day",
      train: { from: "2001-01-01", to: "2001-02-10" },
      holdout: { from: "2001-02-10", to: "2001-03-10" },
    };
    await job("/api/v1/training", {
      dataset,
      version,
      task: "binary",
      target: { column: "target", greaterThan: 14 },
      derive: [{ name: "weekday", from: "day", part: "dayOfWeek" }],
      features: [{ column: "a" }, { column: "constructor" }, { column: "weekday", kind: "categorical" }],
      split,
      slices: ["constructor"],
      registeredModel: named("trained"),
    });
    const monitor = named("watch");
    await send("PUT", `/api/v1/monitors/${monitor}`, {
      target: { deployment: named("shop") },
      reference: {
        kind: "dataset",
        dataset,
        version,
        timeColumn: "day",
        fromMs: Date.UTC(2001, 0, 1),
        toMs: Date.UTC(2001, 1, 1),
      },
      columns: ["a", "b"],
      enabled: false,
      reason: "fuzz",
    });
    const window = {
      dataset,
      version,
      timeColumn: "day",
      fromMs: Date.UTC(2001, 1, 1),
      toMs: Date.UTC(2001, 2, 1),
    };
    await job(`/api/v1/monitors/${monitor}/evaluate`, { window }).catch(() => {});
    await send("GET", `/api/v1/monitors/${monitor}/results?limit=2`);
    await send("POST", "/api/v1/labels", { labels: [{ requestId: "1", value: 1 }] }).catch(() => {});
    await job("/api/v1/batch-predictions", {
      input: { dataset, version },
      target: { model: named("linear"), version: "1" },
      output: { dataset: named("scored") },
    }).catch(() => {});
  }

  /** An upload becomes a version by a job. */
  async function settled(reply: Reply): Promise<void> {
    const found = /"(?:jobId|id)":"([0-9a-f-]{36})"/.exec(JSON.stringify(reply.body))?.[1];
    for (let tries = 0; found !== undefined && tries < 300; tries++) {
      const { body } = await send("GET", `/api/v1/jobs/${found}`).catch(() => ({
        body: { state: "failed" } as unknown as Json,
      }));
      if (["succeeded", "failed", "cancelled"].includes(String(body.state))) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async function quantum(): Promise<void> {
    const [bell, rotation] = await Promise.all(
      ["bell.qs", "rotation.qasm"].map((file) => readFile(path.join(examples, file), "utf8")),
    );
    const program = { language: "qsharp", source: bell };
    const turn = { language: "openqasm", source: rotation, arguments: { theta: 0.5 } };
    for (const body of [program, turn]) {
      await send("POST", "/api/v1/quantum/check", body);
      await send("POST", "/api/v1/quantum/circuits", body).catch(() => {});
      await send("POST", "/api/v1/quantum/qir", { ...body, profile: "base" }).catch(() => {});
      await send("POST", "/api/v1/quantum/estimates", { ...body, parameters: [{ errorBudget: 0.01 }] }).catch(
        () => {},
      );
    }
    await job("/api/v1/quantum/jobs", {
      name: "bell",
      ...program,
      shots: 20,
      expected: { uniform: ["00", "11"] },
    });
    const plane = `/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/lab/providers/Microsoft.Quantum/Workspaces/${named("bench")}`;
    const sas = (await send("POST", `${plane}/storage/sasUri`, { containerName: "job-1" })).body.sasUri;
    const [address, query] = String(sas).split("?");
    await send(
      "PUT",
      `${address}/inputData?${query}`,
      rotation?.replace("input float theta;", "float theta = 0.5;") ?? "",
      { "x-ms-blob-type": "BlockBlob" },
    );
    await send("PUT", `${plane}/sessions/s1`, {
      name: "s",
      target: "ketline.simulator",
      providerId: "ketline",
    }).catch(() => {});
    await send("PUT", `${plane}/jobs/j1`, {
      name: "j",
      itemType: "Job",
      providerId: "ketline",
      target: "ketline.simulator",
      containerUri: sas,
      inputDataUri: `${address}/inputData`,
      inputDataFormat: "qasm.v3",
      outputDataFormat: "microsoft.quantum-results.v2",
      inputParams: { shots: 20 },
    });
    for (const rest of [
      "jobs",
      "jobs/j1",
      "providerStatus",
      "quotas",
      "sessions",
      "topLevelItems?$filter=Name eq 'j'&$orderby=CreationTime desc&$top=1",
    ]) {
      await send("GET", `${plane}/${rest}`).catch(() => {});
    }
  }

  async function rest(): Promise<void> {
    await send("POST", "/api/v1/tokens", { name: named("ci"), role: "viewer" }).catch(() => {});
    await send("POST", "/api/v1/environments/validate", {
      kind: "classical",
      parameters: { location: "westeurope" },
    });
    await send("GET", "/api/v1/jobs?limit=2");
    await send("GET", "/api/v1/audit?limit=2");
    const registry = `/api/v1/registry/${named("linear")}`;
    await send("GET", `${registry}/history?limit=1`);
    await send("POST", `${registry}/aliases/champion/rollback`, { reason: "r" }).catch(() => {});
  }
}

function patternOf(route: string): RegExp {
  const source = route
    .replace(/[.]/g, "\\.")
    .replace(/:(\w+)(\{[^}]*\})?/g, (_, name: string, rest?: string) => {
      return rest === undefined ? `(?<${name}>[^/]+)` : `(?<${name}>.+)`;
    });
  return new RegExp(`^${source}$`);
}
