import type { RequestExample } from "./shared/http/index.ts";

const id = {
  job: "1c7e1f0e-5a47-4b6c-9f39-0d9f6f2b7a10",
  token: "6a1f6a0a-6f0e-4a3e-8a53-2f0a53c7d1b2",
  upload: "0b1f2d52-8a5b-4f6a-b5b2-0a7f6d0f9c11",
  experiment: "1042",
  run: "9a3f1c5e7b2d4f60a1b2c3d4e5f60718",
  model: "m-4f6a8b0c2d1e4f5a9b8c7d6e5f4a3b2c",
  webhook: "5e0f4a5b-1c2d-4e3f-8a9b-0c1d2e3f4a5b",
  training: "c0a1b2c3-d4e5-4f60-8a7b-9c0d1e2f3a4b",
  trainedRun: "7d3e5f60718293a4b5c6d7e8f9a0b1c2",
  firing: "d1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d",
  rollout: "e2c3d4e5-f6a7-4b8c-9d0e-1f2a3b4c5d6e",
  batch: "f3d4e5f6-a7b8-4c9d-8e0f-2a3b4c5d6e7f",
  transfer: "a4e5f6a7-b8c9-4d0e-9f1a-3b4c5d6e7f80",
  quantum: "b5f6a7b8-c9d0-4e1f-8a2b-4c5d6e7f8091",
} as const;

const dataset = { name: "weather" };
const readings = { name: "readings" };
const deployment = { name: "umbrella" };
const monitor = { name: "umbrella" };
const schedule = { name: "rain-nightly" };
const workspace = "s/resourceGroups/g/providers/Microsoft.Quantum/workspaces/local";
const mlflow = "/api/2.0/mlflow";
const reason = "tried from the reference";

const training = {
  dataset: "weather",
  task: "binary",
  target: { column: "weather", equals: "rain" },
  features: [{ column: "temp_max" }, { column: "temp_min" }, { column: "wind" }],
  split: { holdoutFraction: 0.2 },
  registeredModel: "rain",
};
const bell =
  "operation Main() : (Result, Result) { use (a, b) = (Qubit(), Qubit()); H(a); CNOT(a, b); (MResetZ(a), MResetZ(b)) }";
const ones = `operation Ones(angles : Double[], shots : Int) : Double {
  mutable count = 0;
  for _ in 1..shots {
    use q = Qubit();
    Rx(angles[0], q);
    if MResetZ(q) == One { set count += 1; }
  }
  return Std.Convert.IntAsDouble(count) / Std.Convert.IntAsDouble(shots);
}`;
const program = { language: "qsharp", source: bell };
const inference = {
  inputs: [
    { name: "temp_max", datatype: "FP32", shape: [1, 1], data: [8] },
    { name: "temp_min", datatype: "FP32", shape: [1, 1], data: [6] },
    { name: "wind", datatype: "FP32", shape: [1, 1], data: [6] },
  ],
};

/**
 * A request for each call, in the order in which they work one after the other on a server that has the data set
 * `weather` and the model `rain` of the guides. A test sends them all; ids that a server makes itself are put in.
 */
export const requestExamples: readonly RequestExample[] = [
  // Datasets
  ["GET /api/v1/datasets", { query: { limit: 20 } }],
  [
    "PUT /api/v1/datasets/{name}",
    {
      path: readings,
      body: {
        description: "Of two sensors",
        expectations: [{ kind: "range", column: "celsius", min: -60, max: 60 }],
      },
    },
  ],
  [
    "POST /api/v1/datasets/{name}/versions",
    {
      path: readings,
      query: { format: "csv" },
      body: "sensor,celsius\na,21.5\nb,19.25\n",
    },
    { makes: { [id.job]: "job.id" } },
  ],
  ["GET /api/v1/jobs/{id}", { path: { id: id.job } }],
  ["GET /api/v1/jobs/{id}/logs", { path: { id: id.job } }],
  ["GET /api/v1/jobs/{id}/events", { path: { id: id.job } }],
  ["GET /api/v1/jobs", { query: { state: "succeeded" } }],
  ["GET /api/v1/datasets/{name}", { path: dataset }],
  ["GET /api/v1/datasets/{name}/versions", { path: dataset, query: { state: "ready" } }],
  ["GET /api/v1/datasets/{name}/versions/{version}", { path: { ...dataset, version: "latest" } }],
  ["GET /api/v1/datasets/{name}/versions/{version}/content", { path: { ...dataset, version: "latest" } }],
  ["POST /api/v1/datasets/{name}/uploads", { path: readings, body: { format: "csv" } }],
  ["DELETE /api/v1/datasets/{name}", { path: readings, query: { reason } }],
  // Tracking
  [
    `POST ${mlflow}/experiments/create`,
    { body: { name: "umbrellas" } },
    { makes: { [id.experiment]: "experiment_id" } },
  ],
  [`GET ${mlflow}/experiments/get`, { query: { experiment_id: id.experiment } }],
  [`GET ${mlflow}/experiments/get-by-name`, { query: { experiment_name: "umbrellas" } }],
  [`POST ${mlflow}/experiments/search`, { body: { filter: "name LIKE 'umb%'", max_results: 20 } }],
  [`GET ${mlflow}/experiments/search`, { query: { max_results: 20 } }],
  [
    `POST ${mlflow}/experiments/update`,
    { body: { experiment_id: id.experiment, new_name: "umbrellas of 2026" } },
  ],
  [
    `POST ${mlflow}/experiments/set-experiment-tag`,
    { body: { experiment_id: id.experiment, key: "team", value: "rain" } },
  ],
  [
    `POST ${mlflow}/experiments/delete-experiment-tag`,
    { body: { experiment_id: id.experiment, key: "team" } },
  ],
  [`POST ${mlflow}/experiments/search-datasets`, { body: { experiment_ids: [id.experiment] } }],
  [
    `POST ${mlflow}/runs/create`,
    { body: { experiment_id: id.experiment, run_name: "first" } },
    { makes: { [id.run]: "run.info.run_id" } },
  ],
  [
    `POST ${mlflow}/runs/log-metric`,
    { body: { run_id: id.run, key: "loss", value: 0.25, timestamp: 1767600000000, step: 1 } },
  ],
  [`POST ${mlflow}/runs/log-parameter`, { body: { run_id: id.run, key: "depth", value: "3" } }],
  [
    `POST ${mlflow}/runs/log-batch`,
    {
      body: {
        run_id: id.run,
        metrics: [{ key: "loss", value: 0.125, timestamp: 1767600001000, step: 2 }],
        tags: [{ key: "stage", value: "draft" }],
      },
    },
  ],
  [`POST ${mlflow}/runs/set-tag`, { body: { run_id: id.run, key: "reviewed", value: "yes" } }],
  [`POST ${mlflow}/runs/delete-tag`, { body: { run_id: id.run, key: "reviewed" } }],
  [
    `POST ${mlflow}/runs/log-inputs`,
    {
      body: {
        run_id: id.run,
        datasets: [
          {
            dataset: {
              name: "weather",
              digest: "0845078a",
              source_type: "local",
              source: "seattle-weather.csv",
            },
          },
        ],
      },
    },
  ],
  [`GET ${mlflow}/runs/get`, { query: { run_id: id.run } }],
  [`POST ${mlflow}/runs/search`, { body: { experiment_ids: [id.experiment], filter: "metrics.loss < 1" } }],
  [`GET ${mlflow}/metrics/get-history`, { query: { run_id: id.run, metric_key: "loss" } }],
  [`GET ${mlflow}/metrics/get-history-bulk`, { query: { run_id: [id.run], metric_key: "loss" } }],
  [
    `GET ${mlflow}/metrics/get-history-bulk-interval`,
    { query: { run_ids: [id.run], metric_key: "loss", max_results: 10 } },
  ],
  [
    `POST ${mlflow}/logged-models`,
    { body: { experiment_id: id.experiment, name: "rain" } },
    { makes: { [id.model]: "model.info.model_id" } },
  ],
  [`GET ${mlflow}/logged-models/{model_id}`, { path: { model_id: id.model } }],
  [
    `POST ${mlflow}/logged-models/{model_id}/params`,
    { path: { model_id: id.model }, body: { params: [{ key: "depth", value: "3" }] } },
  ],
  [
    `PATCH ${mlflow}/logged-models/{model_id}/tags`,
    { path: { model_id: id.model }, body: { tags: [{ key: "team", value: "rain" }] } },
  ],
  [
    `DELETE ${mlflow}/logged-models/{model_id}/tags/{tag_key}`,
    { path: { model_id: id.model, tag_key: "team" } },
  ],
  [`GET ${mlflow}/logged-models/{model_id}/artifacts/directories`, { path: { model_id: id.model } }],
  [
    `PATCH ${mlflow}/logged-models/{model_id}`,
    { path: { model_id: id.model }, body: { status: "LOGGED_MODEL_READY" } },
  ],
  [`POST ${mlflow}/logged-models/search`, { body: { experiment_ids: [id.experiment] } }],
  [`POST ${mlflow}/runs/outputs`, { body: { run_id: id.run, models: [{ model_id: id.model, step: 1 }] } }],
  [`GET ${mlflow}/artifacts/list`, { query: { run_id: id.run } }],
  [
    "PUT /api/2.0/mlflow-artifacts/artifacts/{path}",
    { path: { path: "notes/today.txt" }, body: "It rained." },
  ],
  ["GET /api/2.0/mlflow-artifacts/artifacts", { query: { path: "notes" } }],
  ["GET /api/2.0/mlflow-artifacts/artifacts/{path}", { path: { path: "notes/today.txt" } }],
  ["GET /api/2.0/mlflow-artifacts/presigned/{path}", { path: { path: "notes/today.txt" } }],
  [
    "POST /api/2.0/mlflow-artifacts/mpu/create/{path}",
    { path: { path: "notes" }, body: { path: "film.mp4", num_parts: 2 } },
  ],
  ["DELETE /api/2.0/mlflow-artifacts/artifacts/{path}", { path: { path: "notes" } }],
  [`POST ${mlflow}/runs/update`, { body: { run_id: id.run, status: "FINISHED", end_time: 1767600060000 } }],
  [`DELETE ${mlflow}/logged-models/{model_id}`, { path: { model_id: id.model } }],
  [`POST ${mlflow}/runs/delete`, { body: { run_id: id.run } }],
  [`POST ${mlflow}/runs/restore`, { body: { run_id: id.run } }],
  [`POST ${mlflow}/experiments/delete`, { body: { experiment_id: id.experiment } }],
  [`POST ${mlflow}/experiments/restore`, { body: { experiment_id: id.experiment } }],
  // Registry
  [`POST ${mlflow}/registered-models/create`, { body: { name: "snow", description: "Will it snow?" } }],
  [`GET ${mlflow}/registered-models/get`, { query: { name: "snow" } }],
  [`GET ${mlflow}/registered-models/search`, { query: { filter: "name LIKE 'sn%'" } }],
  [
    `PATCH ${mlflow}/registered-models/update`,
    { body: { name: "snow", description: "Will it snow today?" } },
  ],
  [`POST ${mlflow}/registered-models/set-tag`, { body: { name: "snow", key: "season", value: "winter" } }],
  [`DELETE ${mlflow}/registered-models/delete-tag`, { body: { name: "snow", key: "season" } }],
  [`POST ${mlflow}/registered-models/rename`, { body: { name: "snow", new_name: "snowfall" } }],
  [`DELETE ${mlflow}/registered-models/delete`, { body: { name: "snowfall" } }],
  [`GET ${mlflow}/registered-models/get-latest-versions`, { query: { name: "rain" } }],
  [`POST ${mlflow}/registered-models/get-latest-versions`, { body: { name: "rain" } }],
  [`POST ${mlflow}/registered-models/alias`, { body: { name: "rain", alias: "candidate", version: "1" } }],
  [`GET ${mlflow}/registered-models/alias`, { query: { name: "rain", alias: "candidate" } }],
  [`DELETE ${mlflow}/registered-models/alias`, { body: { name: "rain", alias: "candidate" } }],
  [`GET ${mlflow}/model-versions/get`, { query: { name: "rain", version: "1" } }],
  [`GET ${mlflow}/model-versions/get-download-uri`, { query: { name: "rain", version: "1" } }],
  [`GET ${mlflow}/model-versions/search`, { query: { filter: "name = 'rain'" } }],
  [
    `PATCH ${mlflow}/model-versions/update`,
    { body: { name: "rain", version: "1", description: "The first one" } },
  ],
  [
    `POST ${mlflow}/model-versions/set-tag`,
    { body: { name: "rain", version: "1", key: "checked", value: "yes" } },
  ],
  [`DELETE ${mlflow}/model-versions/delete-tag`, { body: { name: "rain", version: "1", key: "checked" } }],
  [
    `POST ${mlflow}/model-versions/transition-stage`,
    { body: { name: "rain", version: "1", stage: "Staging" } },
  ],
  ["GET /api/v1/registry/{model}/history", { path: { model: "rain" } }],
  [
    `POST ${mlflow}/webhooks`,
    {
      body: {
        name: "new-versions",
        url: "https://hooks.example.com/ketline",
        events: [{ entity: "MODEL_VERSION", action: "CREATED" }],
      },
    },
    { makes: { [id.webhook]: "webhook.webhook_id" } },
  ],
  [`GET ${mlflow}/webhooks`, { query: { max_results: 10 } }],
  [`GET ${mlflow}/webhooks/{webhook_id}`, { path: { webhook_id: id.webhook } }],
  [
    `PATCH ${mlflow}/webhooks/{webhook_id}`,
    { path: { webhook_id: id.webhook }, body: { status: "DISABLED" } },
  ],
  ["GET /api/v1/webhooks/{webhook}/deliveries", { path: { webhook: id.webhook } }],
  [`DELETE ${mlflow}/webhooks/{webhook_id}`, { path: { webhook_id: id.webhook } }],
  // Training
  ["POST /api/v1/training", { body: training }, { makes: { [id.training]: "id" } }],
  ["GET /api/v1/training", { query: { model: "rain" } }],
  ["GET /api/v1/training/{id}", { path: { id: id.training } }, { makes: { [id.trainedRun]: "runId" } }],
  ["POST /api/v1/training/{run}/reproduce", { path: { run: id.trainedRun } }],
  [
    "PUT /api/v1/schedules/{name}",
    { path: schedule, body: { cron: "0 0 2 * * *", timeZone: "Europe/Berlin", training } },
  ],
  ["GET /api/v1/schedules", { query: { limit: 20 } }],
  ["GET /api/v1/schedules/{name}", { path: schedule }],
  ["POST /api/v1/schedules/{name}/pause", { path: schedule, body: { reason } }],
  ["POST /api/v1/schedules/{name}/resume", { path: schedule, body: { reason } }],
  [
    "POST /api/v1/schedules/{name}/run",
    { path: schedule, body: { reason } },
    { makes: { [id.firing]: "id" } },
  ],
  ["GET /api/v1/schedules/{name}/firings", { path: schedule }],
  ["GET /api/v1/schedules/{name}/firings/{id}", { path: { ...schedule, id: id.firing } }],
  ["DELETE /api/v1/schedules/{name}", { path: schedule }],
  // Serving
  ["GET /v2/models/{model}", { path: { model: "rain" } }],
  ["GET /v2/models/{model}/versions/{version}", { path: { model: "rain", version: "1" } }],
  ["GET /v2/models/{model}/ready", { path: { model: "rain" } }],
  ["GET /v2/models/{model}/versions/{version}/ready", { path: { model: "rain", version: "1" } }],
  ["POST /v2/models/{model}/infer", { path: { model: "rain" }, body: inference }],
  [
    "POST /v2/models/{model}/versions/{version}/infer",
    { path: { model: "rain", version: "1" }, body: inference },
  ],
  ["GET /v2/models/{model}/stats", { path: { model: "rain" } }],
  ["GET /v2/models/{model}/versions/{version}/stats", { path: { model: "rain", version: "1" } }],
  ["POST /v2/repository/index", { body: { ready: true } }],
  ["POST /v2/repository/models/{model}/load", { path: { model: "rain" } }],
  ["POST /v2/repository/models/{model}/unload", { path: { model: "rain" } }],
  ["GET /serving/{deployment}/ping", { path: { deployment: "rain" } }],
  ["GET /serving/{deployment}/health", { path: { deployment: "rain" } }],
  ["GET /serving/{deployment}/version", { path: { deployment: "rain" } }],
  [
    "POST /serving/{deployment}/invocations",
    {
      path: { deployment: "rain" },
      body: {
        dataframe_split: {
          columns: ["temp_max", "temp_min", "wind"],
          data: [
            [8, 6, 6],
            [27, 14, 2],
          ],
        },
      },
    },
  ],
  [
    "PUT /api/v1/deployments/{name}",
    {
      path: deployment,
      body: { variants: [{ name: "v1", model: "rain", version: "1", weight: 100 }], reason },
    },
  ],
  ["GET /api/v1/deployments", { query: { limit: 20 } }],
  ["GET /api/v1/deployments/{name}", { path: deployment }],
  ["GET /api/v1/deployments/{name}/revisions", { path: deployment }],
  ["GET /api/v1/deployments/{name}/revisions/{revision}", { path: { ...deployment, revision: 1 } }],
  [
    "PUT /api/v1/deployments/{name}/revisions/{revision}/health",
    {
      path: { ...deployment, revision: 1 },
      body: { health: "healthy", reason },
    },
  ],
  ["GET /api/v1/deployments/{name}/comparison", { path: deployment }],
  [
    "POST /api/v1/deployments/{name}/rollouts",
    {
      path: deployment,
      body: {
        target: { model: "rain", alias: "champion" },
        steps: [{ weight: 10, minutes: 60 }, { weight: 100 }],
        reason,
      },
    },
    { makes: { [id.rollout]: "id" } },
  ],
  ["GET /api/v1/deployments/{name}/rollouts", { path: deployment }],
  ["GET /api/v1/deployments/{name}/rollouts/{id}", { path: { ...deployment, id: id.rollout } }],
  [
    "POST /api/v1/deployments/{name}/rollouts/{id}/pause",
    { path: { ...deployment, id: id.rollout }, body: { reason } },
  ],
  [
    "POST /api/v1/deployments/{name}/rollouts/{id}/resume",
    { path: { ...deployment, id: id.rollout }, body: { reason } },
  ],
  [
    "POST /api/v1/deployments/{name}/rollouts/{id}/abort",
    { path: { ...deployment, id: id.rollout }, body: { reason } },
  ],
  [
    "POST /api/v1/deployments/{name}/rollouts",
    {
      path: deployment,
      body: {
        target: { model: "rain", alias: "champion" },
        steps: [{ weight: 10, minutes: 60 }, { weight: 100 }],
        reason,
      },
    },
    { makes: { [id.rollout]: "id" } },
  ],
  [
    "POST /api/v1/deployments/{name}/rollouts/{id}/advance",
    { path: { ...deployment, id: id.rollout }, body: { reason } },
  ],
  ["POST /api/v1/deployments/{name}/rollback", { path: deployment, body: { reason } }],
  [
    "POST /api/v1/batch-predictions",
    {
      body: {
        input: { dataset: "weather" },
        target: { model: "rain", version: 1 },
        output: { dataset: "rain-predicted" },
      },
    },
    { makes: { [id.batch]: "id" } },
  ],
  ["GET /api/v1/batch-predictions", { query: { limit: 20 } }],
  ["GET /api/v1/batch-predictions/{id}", { path: { id: id.batch } }],
  // Monitoring
  [
    "PUT /api/v1/monitors/{name}",
    { path: monitor, body: { target: { deployment: "umbrella" }, windowHours: 24, everyHours: 6 } },
  ],
  ["GET /api/v1/monitors", { query: { limit: 20 } }],
  ["GET /api/v1/monitors/{name}", { path: monitor }],
  ["GET /api/v1/monitors/{name}/revisions", { path: monitor }],
  ["GET /api/v1/monitors/{name}/capture", { path: monitor }],
  ["POST /api/v1/monitors/{name}/evaluate", { path: monitor, body: {} }],
  ["GET /api/v1/monitors/{name}/chart.svg", { path: monitor, query: { windows: 30 } }],
  ["GET /api/v1/monitors/{name}/results", { path: monitor }],
  ["GET /api/v1/monitors/{name}/signals", { path: monitor }],
  [
    "PUT /api/v1/alert-subscriptions/{name}",
    { path: { name: "on-call" }, body: { url: "https://alerts.example.com/ketline", monitor: "umbrella" } },
  ],
  ["GET /api/v1/alert-subscriptions", { query: { limit: 20 } }],
  ["GET /api/v1/alert-subscriptions/{name}", { path: { name: "on-call" } }],
  ["GET /api/v1/alert-subscriptions/{name}/deliveries", { path: { name: "on-call" } }],
  ["DELETE /api/v1/alert-subscriptions/{name}", { path: { name: "on-call" } }],
  ["GET /api/v1/rollbacks", { query: { limit: 20 } }],
  ["GET /api/v1/alerts", { query: { state: "firing" } }],
  [
    "POST /api/v1/labels",
    { body: { labels: [{ requestId: "day-1", value: 1, observedAt: "2026-01-06T00:00:00Z" }] } },
  ],
  ["DELETE /api/v1/monitors/{name}", { path: monitor, query: { reason } }],
  ["DELETE /api/v1/deployments/{name}", { path: deployment, query: { reason } }],
  // Transfer
  ["GET /api/v1/transfers", { query: { limit: 20 } }],
  // Quantum
  ["GET /api/v1/quantum/targets", {}],
  ["POST /api/v1/quantum/check", { body: program }],
  ["POST /api/v1/quantum/qir", { body: program }],
  ["POST /api/v1/quantum/circuits", { body: program }],
  ["POST /api/v1/quantum/estimates", { body: program }],
  [
    "POST /api/v1/quantum/jobs",
    {
      body: { ...program, name: "Bell pair", shots: 500, expected: { uniform: ["00", "11"], alpha: 0.0001 } },
    },
    { makes: { [id.quantum]: "id" } },
  ],
  [
    "POST /api/v1/quantum/minimisations",
    {
      body: {
        source: ones,
        entry: "Ones",
        initial: [0.5],
        shots: 100,
        method: { kind: "parameterShift", iterations: 2 },
      },
    },
  ],
  ["GET /api/v1/quantum/jobs", { query: { limit: 20 } }],
  ["GET /api/v1/quantum/jobs/{id}", { path: { id: id.quantum } }],
  ["GET /api/v1/quantum/jobs/{id}/histogram", { path: { id: id.quantum } }],
  ["GET /api/v1/quantum/jobs/{id}/histogram.svg", { path: { id: id.quantum } }],
  [
    "PUT /subscriptions/{rest}",
    { path: { rest: `${workspace}/sessions/first` }, body: { name: "first", target: "ketline.simulator" } },
  ],
  ["GET /subscriptions/{rest}", { path: { rest: `${workspace}/jobs` } }],
  [
    "POST /subscriptions/{rest}",
    { path: { rest: `${workspace}/storage/sasUri` }, body: { containerName: "job-first" } },
  ],
  // The rest
  [
    "POST /api/v1/tokens",
    { body: { name: "nightly build", role: "contributor" } },
    { makes: { [id.token]: "id" } },
  ],
  ["GET /api/v1/tokens", { query: { limit: 20 } }],
  ["DELETE /api/v1/tokens/{id}", { path: { id: id.token } }],
  ["GET /api/v1/audit", { query: { subject: "deployment/" } }],
  ["POST /api/v1/tracking/garbage-collections", { body: {} }],
  ["GET /api/v1/environments/templates", {}],
  ["GET /api/v1/environments/templates/{kind}", { path: { kind: "quantum" } }],
  ["POST /api/v1/environments/validate", { body: { kind: "quantum", parameters: {} } }],
  ["GET /docs/{asset}", { path: { asset: "swagger-ui.css" } }],
];
