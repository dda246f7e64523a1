import type { ChildProcess } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { family, helper, node, run, stripped } from "./children.ts";
import type { LoadRequest, Measurement } from "./client.process.ts";
import type { Payload } from "./payloads.ts";
import type { RawRequest } from "./raw.process.ts";

/** What is measured: it answers a payload for a model, or does not know how to (undefined). */
export interface Contender {
  readonly name: string;
  measure(
    model: string,
    payload: Payload,
    load: { readonly connections: number; readonly durationMs: number },
  ): Promise<Measurement> | undefined;
}

export type Client = (request: LoadRequest) => Promise<Measurement>;

const here = import.meta.dirname;
const root = path.dirname(path.dirname(here));

/** A contender behind HTTP. */
export function http(
  name: string,
  client: Client,
  server: {
    readonly url: string;
    readonly pid: number;
    readonly headers?: Readonly<Record<string, string>>;
    /** Undefined for what the server does not take. */
    path(model: string, payload: Payload): string | undefined;
    payload?(payload: Payload, model: string): Payload;
  },
): Contender {
  return {
    name,
    measure(model, asked, { connections, durationMs }) {
      const where = server.path(model, asked);
      if (where === undefined) return undefined;
      const payload = server.payload?.(asked, model) ?? asked;
      return client({
        port: Number(new URL(server.url).port),
        path: where,
        headers: { ...payload.headers, ...server.headers },
        bodyBase64: Buffer.from(payload.body).toString("base64"),
        connections,
        durationMs,
        pids: family(server.pid),
      });
    },
  };
}

export async function bare(client: Client): Promise<Contender> {
  const server = await listening([...node, path.join(here, "bare.mjs")], {});
  return http("bare node:http", client, { ...server, path: () => "/" });
}

export function raw(folder: string): Contender {
  const { ask } = helper<RawRequest, Measurement>("server", path.join(here, "raw.process.ts"));
  return {
    name: "raw session.run",
    measure: (model, { rows, features }, { durationMs }) =>
      ask({ file: path.join(folder, `${model}.onnx`), rows, features, durationMs }),
  };
}

export interface Model {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Ketline's own server; with `observed` every prediction is captured, and metrics are sent to `sink`. */
export async function ketline(
  client: Client,
  models: readonly Model[],
  observed?: { readonly sink: string },
): Promise<Contender> {
  const telemetry = {
    OTEL_EXPORTER_OTLP_ENDPOINT: observed?.sink ?? "",
    OTEL_METRICS_EXPORTER: "otlp",
    OTEL_TRACES_EXPORTER: "none",
    OTEL_LOGS_EXPORTER: "none",
  };
  const server = await listening([...node, ...stripped, path.join(root, "server/main.ts")], {
    KETLINE_DATA: await directory("ketline"),
    KETLINE_LOG_LEVEL: "warn",
    PORT: "0",
    ...(observed === undefined ? {} : telemetry),
  });
  for (const model of models) {
    await register(server.url, model, {});
    if (observed !== undefined) {
      const target = { model: model.name };
      await ask(server.url, "PUT", `/api/v1/monitors/${model.name}`, { target }, {});
    }
  }
  const name = observed === undefined ? "ketline" : "ketline observed";
  return http(name, client, { ...server, path: (model) => `/v2/models/${model}/infer` });
}

/** The package for Azure Functions, driven by the tests' stand-in for the host: its costs are in the figures. */
export async function functions(
  client: Client,
  models: readonly Model[],
  folder: string,
): Promise<Contender> {
  const out = path.join(folder, "build");
  const build = run("client", [...node, ...stripped, path.join(root, "tools/build.ts"), "--out", out]);
  const code = await new Promise((resolve) => build.child.once("exit", resolve));
  if (code !== 0) throw new Error(`The build failed:\n${build.output()}`);
  const token = "an-admin-token-for-the-benchmark";
  const { pid, heard } = helper("server", path.join(root, "test/support/functions.child.ts"), {
    args: [path.join(out, "package"), "streaming"],
    env: {
      KETLINE_DATA: await directory("functions"),
      KETLINE_ADMIN_TOKEN: token,
      KETLINE_LOG_LEVEL: "warn",
    },
  });
  const { url } = (await heard()) as { url: string };
  const headers = { authorization: `Bearer ${token}` };
  for (const model of models) await register(url, model, headers);
  return http("ketline functions", client, {
    url,
    pid,
    headers,
    path: (model) => `/v2/models/${model}/infer`,
  });
}

/** Starts a server that says where it listens. */
export async function listening(
  command: readonly string[],
  env: Record<string, string>,
): Promise<{ readonly url: string; readonly pid: number; readonly child: ChildProcess }> {
  const { child, output } = run("server", command, { env });
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 50) {
    const url = /listens on\s+(http:\/\/\S+)/.exec(output())?.[1];
    if (url !== undefined) return { url, child, pid: child.pid ?? 0 };
    if (child.exitCode !== null) break;
    await sleep(50);
  }
  throw new Error(`The server did not start:\n${output()}`);
}

let base: string | undefined;
/** Where everything of this run lies. */
export function useFolder(folder: string): void {
  base = folder;
}
async function directory(name: string): Promise<string> {
  return mkdtemp(path.join(base ?? here, `${name}-`));
}

/** Through MLflow's API, as a client would. */
export async function register(
  url: string,
  { name, bytes }: Model,
  headers: Record<string, string>,
): Promise<void> {
  const mlflow = "/api/2.0/mlflow";
  const created = { experiment_id: "0", start_time: Date.now() };
  const { run } = await ask(url, "POST", `${mlflow}/runs/create`, created, headers);
  const { run_id: runId, artifact_uri: uri } = run.info;
  const folder = `${String(uri).replace("mlflow-artifacts:/", "")}/${name}`;
  await ask(url, "PUT", `/api/2.0/mlflow-artifacts/artifacts/${folder}/model.onnx`, bytes, headers);
  await ask(url, "POST", `${mlflow}/registered-models/create`, { name }, headers);
  const source = `runs:/${runId}/${name}`;
  await ask(url, "POST", `${mlflow}/model-versions/create`, { name, source, run_id: runId }, headers);
}

async function ask(
  url: string,
  method: string,
  route: string,
  body: unknown,
  headers: Record<string, string>,
) {
  const isBytes = body instanceof Uint8Array;
  const response = await fetch(`${url}${route}`, {
    method,
    body: isBytes ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body),
    headers: { ...headers, ...(isBytes ? {} : { "content-type": "application/json" }) },
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}
