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
import { answering, predicted, readBody } from "../answer.ts";
import { hintsOf } from "../call-hints.ts";
import type { DataPlane } from "../data-plane.ts";
import { encodePredictions, readScoringRequest } from "./scoring.ts";

const tag = "MLflow scoring";

/** MLflow's scoring protocol, one server per deployment or registered model. */
export function scoringRoutes({ plane }: { readonly plane: DataPlane }): readonly Route[] {
  const common = { protocol: "scoring", role: "viewer", tag } as const;
  const ok = { 200: { description: "As MLflow's scoring server answers" } };
  const isThere = async (call: Call<{ readonly deployment: string }>) => {
    await plane.resolve(call.params.deployment, undefined);
    return text("\n");
  };
  return [
    ...["ping", "health"].map((probe) =>
      route<{ readonly deployment: string }>({
        ...common,
        method: "GET",
        path: `/serving/:deployment/${probe}`,
        summary: "Whether there is a model to ask",
        responses: ok,
        handle: isThere,
      }),
    ),
    route({
      ...common,
      method: "GET",
      path: "/serving/:deployment/version",
      summary: "The version of the server",
      responses: ok,
      handle: () => text(ketlineVersion),
    }),
    directRoute<{ readonly deployment: string }>({
      ...common,
      method: "POST",
      path: "/serving/:deployment/invocations",
      summary: "Predict",
      // Predictions keep the time limit of their deployment.
      timeoutMs: 0,
      responses: ok,
      handle: async (call) => {
        const contentType = contentTypeOf(call.request);
        return contentType === undefined
          ? unsupportedType(call.request)
          : answering(call, "scoring", (onServedBy) => score(plane, call, contentType, onServedBy));
      },
    }),
  ];
}

async function score(
  plane: DataPlane,
  call: DirectCall<{ readonly deployment: string }>,
  contentType: "application/json" | "text/csv",
  onServedBy: Parameters<DataPlane["infer"]>[1],
): Promise<RawReply> {
  const request = readScoringRequest(await readBody(call.request), contentType);
  const response = await plane.infer(
    {
      name: call.params.deployment,
      version: undefined,
      requestId: call.requestId,
      hints: hintsOf(call.request, request.field),
      outputs: undefined,
      decode: request.decode,
      caller: call,
    },
    onServedBy,
  );
  const body = encodePredictions(response.outputs, response.model.classLabels, request.answerByRow);
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
  return { status: 415, raw: message, headers: { "content-type": "text/plain" } };
}

function text(body: string): Response {
  return new Response(body, { headers: { "content-type": "text/plain" } });
}
