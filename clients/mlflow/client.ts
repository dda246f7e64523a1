import { type Artifacts, artifactsOver } from "./resources/artifacts.ts";
import { type Experiments, experimentsOver } from "./resources/experiments.ts";
import { type LoggedModels, loggedModelsOver } from "./resources/logged-models.ts";
import { type ModelVersions, modelVersionsOver } from "./resources/model-versions.ts";
import { type RegisteredModels, registeredModelsOver } from "./resources/registered-models.ts";
import { type Runs, runsOver } from "./resources/runs.ts";
import type { ServerKind } from "./transport/server-url.ts";
import { createTransport, type Transport, type TransportOptions } from "./transport/transport.ts";

export type MlflowClientOptions = TransportOptions;

/** A server that speaks MLflow's REST API: Ketline, a stock MLflow, or Azure ML. */
export interface MlflowClient {
  readonly kind: ServerKind;
  /** The server's URL without a trailing slash, as calls are made to it. */
  readonly url: string;
  readonly experiments: Experiments;
  readonly runs: Runs;
  readonly loggedModels: LoggedModels;
  readonly registeredModels: RegisteredModels;
  readonly modelVersions: ModelVersions;
  readonly artifacts: Artifacts;
  /** For calls that have no method here. */
  readonly transport: Transport;
}

/**
 * A client of MLflow's tracking, registry and artifacts, for Node.js 20 or newer and browsers.
 *
 * Objects have the names of MLflow's REST API; absent lists and texts are empty, NaN and infinities are numbers. Calls are
 * tried again after 429 and 503, and after 502, 504 and broken connections where doing it twice is doing it once.
 *
 * ```ts
 * const mlflow = createMlflowClient({ url: "http://localhost:7071" });
 * const run = await mlflow.runs.create({ experiment_id: "0", run_name: "first" });
 * await mlflow.runs.logBatch(run.info.run_id, { metrics: [{ key: "loss", value: 0.1 }] });
 * ```
 *
 * @throws TypeError for a URL that is none
 */
export function createMlflowClient(options: MlflowClientOptions): MlflowClient {
  const transport = createTransport(options);
  return {
    kind: transport.kind,
    url: transport.base,
    experiments: experimentsOver(transport),
    runs: runsOver(transport),
    loggedModels: loggedModelsOver(transport),
    registeredModels: registeredModelsOver(transport),
    modelVersions: modelVersionsOver(transport),
    artifacts: artifactsOver(transport),
    transport,
  };
}
