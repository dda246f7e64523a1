import { createHash } from "node:crypto";
import type { KeyValue, LoggedModel, MlflowClient, Run } from "../../../clients/mlflow/index.ts";

const byKey = (a: KeyValue, b: KeyValue) => (a.key < b.key ? -1 : 1);

export interface ContentsOptions {
  /** Only these experiments; all by default. */
  readonly experiments?: readonly string[];
}

/**
 * All that a server holds, in a form that is the same for equal contents: things are named by the ids that they had where
 * they came from, and what a copy cannot keep (numbers of experiments, times of making of what is not a run) is left out.
 */
export async function contentsOf(
  mlflow: MlflowClient,
  options: ContentsOptions = {},
): Promise<Record<string, unknown>> {
  const contents: Record<string, unknown> = {};
  const models: LoggedModel[] = [];
  const runs: { readonly run: Run; readonly experiment: string }[] = [];
  for await (const experiment of mlflow.experiments.search({ view_type: "ALL" })) {
    const { name, experiment_id, lifecycle_stage, tags } = experiment;
    if (options.experiments !== undefined && !options.experiments.includes(name)) continue;
    contents[`experiment ${name}`] = { lifecycle_stage, tags: pairs(tags) };
    for await (const model of mlflow.loggedModels.search({ experiment_ids: [experiment_id] }))
      models.push(model);
    const search = { experiment_ids: [experiment_id], run_view_type: "ALL" as const };
    for await (const run of mlflow.runs.search(search)) runs.push({ run, experiment: name });
  }
  // All of them first: a run may name one of another experiment.
  const origin = new Map([
    ...models.map(({ info }) => [info.model_id, originOf(info.model_id, info.tags)] as const),
    ...runs.map(({ run }) => [run.info.run_id, originOf(run.info.run_id, run.data.tags)] as const),
  ]);
  await inParallel(runs, 4, async ({ run, experiment }) => {
    contents[`run ${origin.get(run.info.run_id)}`] = await runContents(mlflow, run, experiment, origin);
  });
  for (const model of models) {
    contents[`logged model ${origin.get(model.info.model_id)}`] = await modelContents(mlflow, model, origin);
  }
  for await (const model of mlflow.registeredModels.search()) {
    const { name, description, tags, aliases } = model;
    const pointing = aliases.map(({ alias, version }) => `${alias}=${version}`).toSorted();
    contents[`registered model ${name}`] = { description, tags: pairs(tags), aliases: pointing };
    for await (const version of mlflow.modelVersions.search({ filter: `name = '${name}'` })) {
      contents[`version ${name}/${version.version}`] = {
        description: version.description,
        stage: version.current_stage,
        source: renamed(version.source, origin),
        run: origin.get(version.run_id) ?? version.run_id,
        tags: pairs(version.tags),
      };
    }
  }
  return contents;
}

const originOf = (id: string, tags: readonly KeyValue[]) =>
  tags.find(({ key }) => key === "ketline.source.run_id" || key === "ketline.source.model_id")?.value ?? id;

async function runContents(mlflow: MlflowClient, run: Run, experiment: string, origin: Map<string, string>) {
  const { info, data, inputs, outputs } = run;
  const metrics: Record<string, string[]> = {};
  for (const { key } of data.metrics) {
    const values: string[] = [];
    for await (const { value, timestamp, step } of mlflow.runs.metricHistory(info.run_id, key)) {
      values.push(`${timestamp} ${step} ${value}`);
    }
    metrics[key] = values;
  }
  const latest = data.metrics.map(
    ({ key, value, step, timestamp }) => `${key} ${timestamp} ${step} ${value}`,
  );
  return {
    experiment,
    name: info.run_name,
    user: info.user_id,
    status: info.status,
    start: info.start_time,
    end: info.end_time,
    stage: info.lifecycle_stage,
    params: pairs(data.params),
    tags: pairs(data.tags, origin),
    metrics: Object.fromEntries(Object.entries(metrics).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    latest: latest.toSorted(),
    inputs: inputs.dataset_inputs.map(({ tags, dataset }) => ({ tags: pairs(tags), dataset })),
    outputs: outputs.model_outputs.map(({ model_id, step }) => `${origin.get(model_id)} ${step}`).toSorted(),
    files: await fileHashes(mlflow, info.artifact_uri),
  };
}

async function modelContents(mlflow: MlflowClient, { info, data }: LoggedModel, origin: Map<string, string>) {
  return {
    name: info.name,
    type: info.model_type,
    status: info.status,
    run: origin.get(info.source_run_id) ?? info.source_run_id,
    tags: pairs(info.tags, origin).filter((tag) => !tag.startsWith("mlflow.modelVersions=")),
    params: pairs(data.params),
    metrics: data.metrics
      .map(({ key, value, timestamp, step }) => `${key} ${timestamp} ${step} ${value}`)
      .toSorted(),
    files: await fileHashes(mlflow, info.artifact_uri),
  };
}

/** Tags that a copy carries to say where it came from are not part of what was copied. */
function pairs(list: readonly KeyValue[], origin = new Map<string, string>()): string[] {
  return list
    .filter(({ key }) => !key.startsWith("ketline.source."))
    .toSorted(byKey)
    .map(({ key, value }) => `${key}=${origin.get(value) ?? value}`);
}

function renamed(source: string, origin: Map<string, string>): string {
  const named = source.replace(
    /[0-9a-f]{32}|m-[0-9a-f]{32}/g,
    (id) => origin.get(id) ?? origin.get(`m-${id}`) ?? id,
  );
  // The number of an experiment is another on every server.
  return named.replace(/^mlflow-artifacts:\/+\d+\//, "mlflow-artifacts:/*/");
}

async function fileHashes(mlflow: MlflowClient, root: string): Promise<string[]> {
  const hashes: string[] = [];
  for await (const { path } of mlflow.artifacts.walk(root)) {
    const { stream } = await mlflow.artifacts.download(root, path);
    const hash = createHash("sha256");
    for await (const chunk of stream) hash.update(chunk);
    hashes.push(`${path} ${hash.digest("hex")}`);
  }
  return hashes.toSorted();
}

async function inParallel<Item>(items: readonly Item[], limit: number, work: (item: Item) => Promise<void>) {
  const rest = items[Symbol.iterator]();
  await Promise.all(
    Array.from({ length: limit }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}
