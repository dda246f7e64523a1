// node tools/node22.mjs clients/mlflow/example.ts [http://localhost:7071]
// Logs a run with a metric, a file and a registered model to any server of MLflow's API, and reads it back.
import { createMlflowClient, isMlflowError } from "./index.ts";

const url = process.argv[2] ?? "http://localhost:7071";
const mlflow = createMlflowClient({ url });
const name = "example of the TypeScript client";

const experiment = await mlflow.experiments.getByName(name);
const experiment_id = experiment?.experiment_id ?? (await mlflow.experiments.create({ name }));
const { info } = await mlflow.runs.create({ experiment_id, run_name: "a parabola" });
await mlflow.runs.logBatch(info.run_id, {
  params: [{ key: "steps", value: "20" }],
  metrics: Array.from({ length: 20 }, (_, step) => ({ key: "height", value: step * (20 - step), step })),
});
await mlflow.artifacts.upload(info.artifact_uri, "model/notes.txt", "y = x (20 - x)\n", {
  contentType: "text/plain",
});
await mlflow.runs.update(info.run_id, { status: "FINISHED", end_time: Date.now() });

try {
  await mlflow.registeredModels.create({ name: "parabola" });
} catch (error) {
  if (!isMlflowError(error, "RESOURCE_ALREADY_EXISTS")) throw error;
}
const source = `runs:/${info.run_id}/model`;
const { version } = await mlflow.modelVersions.create({ name: "parabola", source, run_id: info.run_id });
await mlflow.registeredModels.setAlias("parabola", "champion", version);

let highest = Number.NEGATIVE_INFINITY;
for await (const { value } of mlflow.runs.metricHistory(info.run_id, "height")) {
  highest = Math.max(highest, value);
}
const { stream } = await mlflow.artifacts.download(info.artifact_uri, "model/notes.txt");
let notes = "";
for await (const chunk of stream) notes += new TextDecoder().decode(chunk);
console.log(
  `run ${info.run_id}: highest ${highest}; parabola version ${version} is the champion; ${notes.trim()}`,
);
