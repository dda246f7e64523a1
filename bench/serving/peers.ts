import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "./children.ts";
import type { Payload } from "./payloads.ts";
import { scoring } from "./payloads.ts";
import { type Client, type Contender, http, type Model } from "./servers.ts";

/*
 * Python servers for the same files in the same runtime, one worker each. Every one has an environment of its own, since
 * what they need excludes each other: <peers>/mlserver, <peers>/bentoml and <peers>/mlflow, each made with
 * `python3 -m venv <folder> && <folder>/bin/pip install -r bench/serving/peers/<name>/requirements.txt`.
 */

interface PeerOptions {
  readonly client: Client;
  /** The folder of the environments. */
  readonly environments: string;
  /** With a file `<name>.onnx` for each model. */
  readonly folder: string;
  readonly models: readonly Model[];
}

const here = path.join(import.meta.dirname, "peers");

/** Those that there is an environment for; what is left out is said aloud. */
export async function startPeers(
  options: PeerOptions,
  wanted: (name: string) => boolean,
): Promise<Contender[]> {
  const started: Contender[] = [];
  for (const [name, start] of Object.entries({ mlserver, bentoml, mlflow })) {
    if (!wanted(name)) continue;
    if (!existsSync(path.join(options.environments, name, "bin/python"))) {
      console.log(`left out: ${name}, for there is no Python at ${options.environments}/${name}`);
    } else started.push(await start(options));
  }
  return started;
}

async function mlserver({ client, environments, folder, models }: PeerOptions): Promise<Contender> {
  const port = 18_081;
  const home = path.join(folder, "mlserver");
  const settings = {
    host: "127.0.0.1",
    http_port: port,
    grpc_port: port + 1,
    metrics_port: port + 2,
    parallel_workers: 0,
    debug: false,
    use_structured_logging: false,
    metrics_endpoint: null,
  };
  for (const { name } of models) {
    const parameters = { uri: path.join(folder, `${name}.onnx`) };
    await mkdir(path.join(home, name), { recursive: true });
    const model = { name, implementation: "model.OnnxModel", parameters };
    await writeFile(path.join(home, name, "model-settings.json"), JSON.stringify(model));
  }
  await writeFile(path.join(home, "settings.json"), JSON.stringify(settings));
  const pid = await answering(
    [path.join(environments, "mlserver/bin/mlserver"), "start", home],
    { PYTHONPATH: path.join(here, "mlserver"), ...quiet },
    `http://127.0.0.1:${port}/v2/health/ready`,
  );
  return http("MLServer", client, {
    pid,
    url: `http://127.0.0.1:${port}`,
    path: (model) => `/v2/models/${model}/infer`,
  });
}

async function bentoml({ client, environments, folder }: PeerOptions): Promise<Contender> {
  const port = 18_091;
  const program = path.join(environments, "bentoml/bin/bentoml");
  const pid = await answering(
    [program, "serve", "service:Onnx", "--host", "127.0.0.1", "--port", String(port)],
    { MODELS: folder, BENTOML_DO_NOT_TRACK: "true", BENTOML_HOME: path.join(folder, "bentoml"), ...quiet },
    `http://127.0.0.1:${port}/readyz`,
    path.join(here, "bentoml"),
  );
  return http("BentoML", client, {
    pid,
    url: `http://127.0.0.1:${port}`,
    path: (_, payload) => (isJson(payload) ? "/predict" : undefined),
    payload: (payload, model) => bentomlBody(payload, model),
  });
}

/** One process serves one model: the first of them. */
async function mlflow({ client, environments, folder, models }: PeerOptions): Promise<Contender> {
  const port = 18_095;
  const [model] = models;
  if (model === undefined) throw new Error("There is no model.");
  const home = path.join(folder, "mlflow");
  await mkdir(home, { recursive: true });
  await writeFile(path.join(home, "model.onnx"), model.bytes);
  await writeFile(
    path.join(home, "MLmodel"),
    "flavors:\n  onnx:\n    data: model.onnx\n    providers: [CPUExecutionProvider]\n" +
      "    onnx_session_options: {intra_op_num_threads: 1, inter_op_num_threads: 1}\n" +
      "  python_function:\n    loader_module: mlflow.onnx\n    data: model.onnx\n",
  );
  const pid = await answering(
    [
      ...[path.join(environments, "mlflow/bin/mlflow"), "models", "serve", "-m", home],
      ...["--env-manager", "local", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"],
    ],
    { ...quiet, PATH: `${path.join(environments, "mlflow/bin")}:${process.env.PATH}` },
    `http://127.0.0.1:${port}/ping`,
  );
  return http("mlflow models serve", client, {
    pid,
    url: `http://127.0.0.1:${port}`,
    path: (name, payload) => (name === model.name && isJson(payload) ? "/invocations" : undefined),
    payload: scoring,
  });
}

const quiet = { OMP_NUM_THREADS: "1", PYTHONWARNINGS: "ignore" };

function isJson({ headers }: Payload): boolean {
  return headers["content-type"] === "application/json";
}

function bentomlBody(payload: Payload, model: string): Payload {
  const { inputs } = JSON.parse(new TextDecoder().decode(scoring(payload).body));
  return { ...payload, body: new TextEncoder().encode(JSON.stringify({ model, data: inputs.X })) };
}

/** Starts a server and waits until its probe answers. @returns its process */
async function answering(
  command: readonly string[],
  env: Record<string, string>,
  probe: string,
  cwd?: string,
): Promise<number> {
  const { child, output } = run("server", command, { env, ...(cwd === undefined ? {} : { cwd }) });
  for (let waitedMs = 0; waitedMs < 120_000 && child.exitCode === null; waitedMs += 250) {
    const ok = await fetch(probe).then(
      (response) => response.ok,
      () => false,
    );
    if (ok) return child.pid ?? 0;
    await sleep(250);
  }
  throw new Error(`${command[0]} did not start:\n${output()}`);
}
