import type { GroundClient } from "./ground.ts";

/** An experiment with runs, a logged model, artifacts and an upload in parts. */
export async function makeRuns({ send, mlflow, named }: GroundClient): Promise<void> {
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
