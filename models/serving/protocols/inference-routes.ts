import { isKetlineError, unavailable } from "../../../shared/errors.ts";
import {
  type Call,
  type DirectCall,
  directRoute,
  json,
  type Reply,
  type Route,
  readJson,
  route,
} from "../../../shared/http/index.ts";
import { version as ketlineVersion } from "../../../shared/version.ts";
import type { Catalogue } from "../deployments/catalogue.ts";
import { defaultTimeoutMs } from "../deployments/revisions.ts";
import { predicted, readBody } from "../inference/answer.ts";
import { hintsOf } from "../inference/call-hints.ts";
import type { DataPlane } from "../inference/data-plane.ts";
import type { ModelDescription } from "../repository/model.ts";
import type { ModelSource, ServableVersion } from "../repository/model-source.ts";
import type { Sessions } from "../runtime/sessions.ts";
import type { TensorSpec, UnservedValue } from "../tensors/signature.ts";
import type { Statistics } from "../traffic/statistics.ts";
import { InferenceRequest, inferenceAnswers, RepositoryIndexRequest } from "./answers.ts";
import { encodeInferenceReply, readInferenceRequest } from "./inference.ts";

export interface InferenceRoutesOptions {
  readonly plane: DataPlane;
  readonly catalogue: Catalogue;
  readonly sessions: Sessions;
  readonly models: ModelSource;
  readonly statistics: Statistics;
}

const tag = "Open Inference Protocol";
const models = "/v2/models";

/** Open Inference Protocol v2 with the extensions binary tensors, repository and statistics. */
export function inferenceRoutes(options: InferenceRoutesOptions): readonly Route[] {
  const { plane, catalogue, sessions, statistics } = options;
  const load = async (name: string, version: string | undefined) => {
    const found = await plane.resolve(name, version);
    return sessions.withModel(found, defaultTimeoutMs, async ({ description }) => ({ found, description }));
  };

  const metadata = async (call: ModelCall) => {
    const { model, version } = call.params;
    const { description } = await load(model, version);
    return json({
      name: model,
      versions: await versionsOf(options, model),
      platform: "onnxruntime_onnx",
      inputs: description.signature.inputs.map((spec) => tensorMetadata(spec, description)),
      outputs: description.signature.outputs.map((spec) => tensorMetadata(spec, description)),
      ...unservedMetadata(description),
    });
  };
  const ready = async (call: ModelCall) => {
    const { model, version } = call.params;
    // What names no version is a mistake of the caller, who would wait for it for ever.
    await plane.resolve(model, version);
    try {
      await load(model, version);
    } catch (error) {
      if (isKetlineError(error, "not_found") || !isKetlineError(error)) throw error;
      throw unavailable(`"${model}" is not ready: ${error.message}`);
    }
    return json({ name: model, ready: true });
  };
  const infer = async (call: DirectCall<ModelParams>) => {
    const headerLength = call.request.headers.get("inference-header-content-length");
    const body = await readBody(call.request, Number(headerLength ?? 0));
    const request = readInferenceRequest(body, headerLength);
    const response = await plane.infer({
      name: call.params.model,
      version: call.params.version,
      requestId: call.requestId,
      hints: hintsOf(call.request, request.field),
      outputs: request.outputs,
      decode: () => request.decode(),
      caller: call,
    });
    const reply = {
      modelName: call.params.model,
      modelVersion: response.servedBy.modelVersion,
      id: request.id ?? call.requestId,
      outputs: response.outputs,
    };
    const encoded = encodeInferenceReply(reply, request.binaryOutput);
    return predicted(response, encoded.body, encoded.headers);
  };
  const stats = async (call: ModelCall) => {
    const found = await plane.resolve(call.params.model, call.params.version);
    return json({ model_stats: [statistics.of(found.name, String(found.version))] });
  };

  const read = { protocol: "inference", role: "viewer", tag } as const;
  const probe = { protocol: "inference", role: "public", tag } as const;
  const ofModel = (suffix: string) => [
    `${models}/:model${suffix}`,
    `${models}/:model/versions/:version${suffix}`,
  ];
  const forModel = (
    suffix: string,
    summary: string,
    responses: Route["responses"],
    handle: (call: ModelCall) => Promise<Reply>,
  ) =>
    ofModel(suffix).map((path) =>
      route<ModelParams>({ ...read, method: "GET", path, summary, responses, handle }),
    );

  return [
    route({
      ...read,
      method: "GET",
      path: "/v2",
      summary: "Server metadata",
      responses: inferenceAnswers.server,
      handle: () =>
        json({
          name: "ketline",
          version: ketlineVersion,
          extensions: [
            "binary_tensor_data",
            "model_repository",
            "model_repository(unload_dependents)",
            "statistics",
          ],
        }),
    }),
    route({
      ...probe,
      method: "GET",
      path: "/v2/health/live",
      summary: "Whether the server answers",
      responses: inferenceAnswers.live,
      handle: () => json({ live: true }),
    }),
    route({
      ...probe,
      method: "GET",
      path: "/v2/health/ready",
      summary: "Whether the server can serve models",
      responses: inferenceAnswers.ready,
      handle: async () => {
        await catalogue.refresh();
        // The specification says `live`; KServe's server and client say `ready`.
        return json({ live: true, ready: true });
      },
    }),
    // Before the routes of one model: the extension's path would otherwise read as a model called "stats".
    route({
      ...read,
      method: "GET",
      path: `${models}/stats`,
      summary: "Statistics of all models that this instance served",
      responses: inferenceAnswers.statistics,
      handle: () => json({ model_stats: statistics.all() }),
    }),
    ...forModel("", "Model metadata", inferenceAnswers.metadata, metadata),
    ...forModel("/ready", "Whether a model can answer", inferenceAnswers.modelReady, ready),
    ...ofModel("/infer").map((path) =>
      directRoute<ModelParams>({
        ...read,
        method: "POST",
        path,
        summary: "Predict",
        // Predictions keep the time limit of their deployment.
        timeoutMs: 0,
        accepts: InferenceRequest,
        bodyTypes: ["application/json", "application/octet-stream"],
        responses: inferenceAnswers.prediction,
        handle: infer,
      }),
    ),
    ...forModel("/stats", "Statistics of a model on this instance", inferenceAnswers.statistics, stats),
    ...repositoryRoutes(options, load),
  ];
}

interface ModelParams {
  readonly model: string;
  readonly version?: string;
}
type ModelCall = Call<ModelParams>;

function repositoryRoutes(
  { plane, catalogue, sessions, models: source }: InferenceRoutesOptions,
  load: (name: string, version: string | undefined) => Promise<unknown>,
): readonly Route[] {
  const change = { protocol: "inference", method: "POST", role: "operator", tag } as const;
  return [
    route({
      protocol: "inference",
      method: "POST",
      path: "/v2/repository/index",
      role: "viewer",
      tag,
      summary: "Models that can be asked",
      description:
        "One entry per registered model, with its newest version. All load at their first request; `ready` lists those " +
        "that nothing stands against.",
      body: "stream",
      accepts: RepositoryIndexRequest,
      responses: inferenceAnswers.index,
      handle: async (call) => {
        await catalogue.refresh();
        const body = await readJson(call.request, 64 * 1024);
        const onlyReady = typeof body === "object" && body !== null && "ready" in body && body.ready === true;
        const entries = await repositoryIndex(source, sessions, catalogue);
        return json(onlyReady ? entries.filter(({ state }) => state === "READY") : entries);
      },
    }),
    route<{ readonly model: string }>({
      ...change,
      path: "/v2/repository/models/:model/load",
      summary: "Load a model into this instance's memory",
      responses: inferenceAnswers.loaded,
      handle: async ({ params }) => {
        await load(params.model, undefined);
        return json({ name: params.model, load: true });
      },
    }),
    route<{ readonly model: string }>({
      ...change,
      path: "/v2/repository/models/:model/unload",
      summary: "Drop a model from this instance's memory; its next request loads it again",
      responses: inferenceAnswers.unloaded,
      handle: async ({ params }) => {
        sessions.unload(await plane.resolve(params.model, undefined));
        return json({ name: params.model, unload: true });
      },
    }),
  ];
}

async function repositoryIndex(source: ModelSource, sessions: Sessions, catalogue: Catalogue) {
  const entries: { name: string; version: string; state: string; reason: string }[] = [];
  let cursor: string | undefined;
  do {
    const page = await source.listModels({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) });
    for (const { name, newestVersion } of page.items) {
      if (newestVersion === 0) continue;
      const version = String(newestVersion);
      const { loaded, problem } = sessions.state(name, newestVersion);
      const reason = problem ?? (loaded ? "" : "loads at its first request");
      entries.push({ name, version, state: problem === undefined ? "READY" : "UNAVAILABLE", reason });
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  for (const { name, revision } of catalogue.deployments()) {
    entries.push({ name, version: "", state: "READY", reason: `deployment, revision ${revision}` });
  }
  return entries;
}

async function versionsOf(
  { catalogue, models: source }: InferenceRoutesOptions,
  name: string,
): Promise<string[]> {
  const deployment = catalogue.deployment(name);
  if (deployment === undefined) {
    return (await source.listVersions(name)).map(({ version }) => String(version)).reverse();
  }
  const found: ServableVersion[] = await Promise.all(
    deployment.variants.map((variant) => catalogue.target(variant)),
  );
  return [...new Set(found.map(({ version }) => String(version)))];
}

function tensorMetadata({ name, datatype, shape, optional }: TensorSpec, { classLabels }: ModelDescription) {
  const labels = Object.hasOwn(classLabels, name) ? classLabels[name] : undefined;
  const parameters = {
    ...(optional === true ? { optional } : {}),
    ...(labels === undefined ? {} : { class_labels: JSON.stringify(labels) }),
  };
  return {
    name,
    datatype,
    shape: shape ?? [-1],
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
  };
}

/** Members of our own: what the model has and the protocol has no form for. */
function unservedMetadata({ signature }: ModelDescription) {
  const of = (wanted: UnservedValue["kind"]) =>
    (signature.unserved ?? [])
      .filter(({ kind }) => kind === wanted)
      .map(({ name, type }) => ({ name, type }));
  const inputs = of("input");
  const outputs = of("output");
  return {
    ...(inputs.length === 0 ? {} : { unserved_inputs: inputs }),
    ...(outputs.length === 0 ? {} : { unserved_outputs: outputs }),
  };
}
