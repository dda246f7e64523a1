import {
  type Call,
  type DirectCall,
  directRoute,
  type RawReply,
  type RequestHead,
  type Route,
  route,
} from "../../../shared/http/index.ts";
import { version as ketlineVersion } from "../../../shared/version.ts";
import { predicted, readBody } from "../inference/answer.ts";
import { hintsOf } from "../inference/call-hints.ts";
import type { DataPlane } from "../inference/data-plane.ts";
import { ScoringRequest, scoringAnswers } from "./answers.ts";
import { encodePredictions, readScoringRequest } from "./scoring.ts";

const tag = "MLflow scoring";

export interface ScoringRoutesOptions {
  readonly plane: DataPlane;
  /** The deployment or model that the paths without a name stand for; there are none when it is not given. */
  readonly rootModel?: string | undefined;
}

const ownNames: ReadonlySet<string> = new Set(["health", "version"]);

interface NamedModel {
  readonly deployment?: string;
}

/**
 * MLflow's scoring protocol, one server per deployment or registered model. One of them may answer at the root too, as
 * `mlflow models serve` does with its only model; `/health` and `/version` are the server's own there.
 */
export function scoringRoutes({ plane, rootModel }: ScoringRoutesOptions): readonly Route[] {
  const common = { protocol: "scoring", role: "viewer", tag } as const;
  const nameOf = ({ deployment = rootModel ?? "" }: NamedModel) => deployment;
  const paths = (name: string) => [
    `/serving/:deployment/${name}`,
    ...(rootModel === undefined || ownNames.has(name) ? [] : [`/${name}`]),
  ];
  const isThere = async (call: Call<NamedModel>) => {
    await plane.resolve(nameOf(call.params), undefined);
    return text("\n");
  };
  return [
    ...["ping", "health"].flatMap(paths).map((path) =>
      route<NamedModel>({
        ...common,
        method: "GET",
        path,
        summary: "Whether there is a model to ask",
        responses: scoringAnswers.there,
        handle: isThere,
      }),
    ),
    ...paths("version").map((path) =>
      route({
        ...common,
        method: "GET",
        path,
        summary: "The version of the server",
        responses: scoringAnswers.version,
        handle: () => text(ketlineVersion),
      }),
    ),
    ...paths("invocations").map((path) =>
      directRoute<NamedModel>({
        ...common,
        method: "POST",
        path,
        summary: "Predict",
        // Predictions keep the time limit of their deployment.
        timeoutMs: 0,
        accepts: ScoringRequest,
        bodyTypes: ["application/json", "text/csv"],
        responses: scoringAnswers.prediction,
        handle: async (call) => {
          const contentType = contentTypeOf(call.request);
          if (contentType === undefined) return unsupportedType(call.request);
          const name = nameOf(call.params);
          return score(plane, name, call, contentType);
        },
      }),
    ),
  ];
}

async function score(
  plane: DataPlane,
  name: string,
  call: DirectCall<NamedModel>,
  contentType: "application/json" | "text/csv",
): Promise<RawReply> {
  const request = readScoringRequest(await readBody(call.request), contentType);
  const response = await plane.infer({
    name,
    version: undefined,
    requestId: call.requestId,
    hints: hintsOf(call.request, request.field),
    outputs: undefined,
    decode: request.decode,
    caller: call,
  });
  const body = encodePredictions(
    response.outputs,
    response.model.classLabels,
    request.answerByRow(response.model),
  );
  return predicted(response, body, { "content-type": "application/json" });
}

/** MLflow takes two types, and of their parameters only `charset=utf-8`. */
function contentTypeOf(request: RequestHead): "application/json" | "text/csv" | undefined {
  const [type = "", ...parameters] = (request.headers.get("content-type") ?? "").toLowerCase().split(";");
  const onlyUtf8 = parameters.every((parameter) => /^\s*(charset="?utf-8"?)?\s*$/.test(parameter));
  const name = type.trim();
  return onlyUtf8 && (name === "application/json" || name === "text/csv") ? name : undefined;
}

function unsupportedType(request: RequestHead): RawReply {
  const sent = request.headers.get("content-type") ?? "missing";
  const message = `The content type is ${sent}; application/json or text/csv would be right, with charset=utf-8 or no parameter.`;
  const body = JSON.stringify({ error_code: "BAD_REQUEST", message });
  return { status: 415, raw: body, headers: { "content-type": "application/json" } };
}

function text(body: string): Response {
  return new Response(body, { headers: { "content-type": "text/plain" } });
}
