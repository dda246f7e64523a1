import { createHash } from "node:crypto";
import { encodeModel } from "../../shared/onnx/index.ts";
import { linearModel } from "../models/serving/models.ts";
import type { AcknowledgedRun, Ledger } from "./ledger.ts";

export type Random = () => number;

/** Sends one request; undefined when the server was gone before it answered. */
export type Send = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<unknown>;

/**
 * One client that writes until the server goes away. What was answered goes into the ledger; what was not, may have
 * happened or not.
 */
export async function writeUntilGone(
  name: string,
  send: Send,
  ledger: Ledger,
  random: Random,
): Promise<void> {
  const kinds = [writeRun, writeRun, writeArtifact, writeModel, writeDataset, writeDeployment];
  for (let turn = 0; ; turn++) {
    const write = kinds[Math.floor(random() * kinds.length)] ?? writeRun;
    if (!(await write(`${name}-${turn}`, send, ledger, random))) return;
  }
}

type Write = (name: string, send: Send, ledger: Ledger, random: Random) => Promise<boolean>;

const writeRun: Write = async (name, send, ledger, random) => {
  const created = await send("POST", "/api/2.0/mlflow/runs/create", { experiment_id: "0", run_name: name });
  if (created === undefined) return false;
  const id = (created as { run: { info: { run_id: string } } }).run.info.run_id;
  const run: AcknowledgedRun = { metrics: new Map(), params: new Map(), tags: new Map() };
  ledger.runs.set(id, run);
  ledger.acknowledged++;
  const steps = 1 + Math.floor(random() * 6);
  for (let step = 0; step < steps; step++) {
    const value = random();
    const metric = { key: "loss", value, timestamp: step + 1, step };
    if ((await send("POST", "/api/2.0/mlflow/runs/log-metric", { run_id: id, ...metric })) === undefined)
      return false;
    run.metrics.set("loss", [...(run.metrics.get("loss") ?? []), value]);
    ledger.acknowledged++;
  }
  const batch = {
    metrics: Array.from({ length: 10 }, (_, step) => ({
      key: "auc",
      value: random(),
      timestamp: step + 1,
      step,
    })),
    params: [{ key: "rate", value: String(random()) }],
    tags: [{ key: "writer", value: name }],
  };
  if ((await send("POST", "/api/2.0/mlflow/runs/log-batch", { run_id: id, ...batch })) === undefined)
    return false;
  run.metrics.set(
    "auc",
    batch.metrics.map(({ value }) => value),
  );
  for (const { key, value } of batch.params) run.params.set(key, value);
  for (const { key, value } of batch.tags) run.tags.set(key, value);
  ledger.acknowledged++;
  return true;
};

const writeArtifact: Write = async (name, send, ledger, random) => {
  const bytes = Buffer.alloc(1 + Math.floor(random() ** 3 * 400_000), Math.floor(random() * 256));
  const path = `/api/2.0/mlflow-artifacts/artifacts/0/kill/${name}.bin`;
  if ((await send("PUT", path, bytes)) === undefined) return false;
  ledger.artifacts.set(path, createHash("sha256").update(bytes).digest("hex"));
  ledger.acknowledged++;
  return true;
};

const writeModel: Write = async (name, send, ledger, random) => {
  const created = await send("POST", "/api/2.0/mlflow/registered-models/create", { name });
  if (created === undefined) return false;
  const model = { versions: new Set<string>(), champion: undefined as string | undefined };
  ledger.models.set(name, model);
  ledger.acknowledged++;
  const versions = 1 + Math.floor(random() * 3);
  for (let index = 0; index < versions; index++) {
    const source = `mlflow-artifacts:/0/kill/${name}`;
    const answer = await send("POST", "/api/2.0/mlflow/model-versions/create", { name, source });
    if (answer === undefined) return false;
    const { version } = (answer as { model_version: { version: string } }).model_version;
    model.versions.add(version);
    ledger.acknowledged++;
    model.champion = undefined;
    const alias = { name, alias: "champion", version };
    if ((await send("POST", "/api/2.0/mlflow/registered-models/alias", alias)) === undefined) return false;
    model.champion = version;
    ledger.acknowledged++;
  }
  return true;
};

const writeDataset: Write = async (name, send, ledger, random) => {
  const rows = Array.from({ length: 20 }, () => `${Math.round(random() * 100)},JFK`);
  const content = Buffer.from(`delay,origin\n${rows.join("\n")}\n`);
  const answer = await send("POST", `/api/v1/datasets/${name}/versions?format=csv`, content);
  if (answer === undefined) return false;
  ledger.datasets.add(`${name}/${createHash("sha256").update(content).digest("hex")}`);
  ledger.acknowledged++;
  return true;
};

const writeDeployment: Write = async (name, send, ledger) => {
  const model = `deployed-${name}`;
  const file = `/api/2.0/mlflow-artifacts/artifacts/0/kill/${model}/model.onnx`;
  if ((await send("PUT", file, Buffer.from(encodeModel(linearModel([2], 1))))) === undefined) return false;
  if ((await send("POST", "/api/2.0/mlflow/registered-models/create", { name: model })) === undefined)
    return false;
  const source = `mlflow-artifacts:/0/kill/${model}`;
  const version = await send("POST", "/api/2.0/mlflow/model-versions/create", { name: model, source });
  if (version === undefined) return false;
  let revision: number | undefined;
  for (const reason of ["first", "once more"]) {
    const spec = { variants: [{ name: "only", model, version: "1", weight: 100 }], reason };
    const expected = revision === undefined ? undefined : { "if-match": `"${revision}"` };
    const answer = await send("PUT", `/api/v1/deployments/${name}`, spec, expected);
    if (answer === undefined) return false;
    revision = (answer as { revision: number }).revision;
    ledger.deployments.set(name, (ledger.deployments.get(name) ?? new Set()).add(revision));
    ledger.acknowledged++;
  }
  return true;
};
