import type { Protocol, Route } from "../route.ts";

/** What the application itself may answer at a route, beside the answers that the route declares. */
const descriptions: Readonly<Record<number, string>> = {
  400: "The request is not valid: which part, with which value, and what would be right",
  401: "No credential, or not a good one",
  403: "The caller's role does not allow this",
  404: "What is named does not exist",
  405: "The path has no such method; `Allow` names those that it has",
  409: "It contradicts what is stored",
  412: "Somebody else changed it first: `If-Match` is not the current revision",
  413: "The body is larger than is taken here",
  415: "The body is of a type that is not taken here",
  422: "The model cannot be run on this",
  431: "The head of the request, with its address, is larger than 32 KiB",
  500: "Ketline failed; its log says why under the request id",
  501: "Understood, and not done by this server",
  503: "Something that is needed is away now; `Retry-After` says when to ask again, where that is known",
  504: "It took too long",
  507: "There is no room left",
};

const headersOf: Readonly<Record<number, Record<string, unknown>>> = {
  405: { Allow: header("The methods of the path") },
  401: { "WWW-Authenticate": header("The ways to sign in") },
  503: { "Retry-After": header("Seconds after which the same request may succeed") },
};

/** The statuses that can come at this route without it saying so. */
function statusesOf(route: Route): number[] {
  const takesBody = route.body !== undefined;
  // What is missing may be named by the path, the body or, of a list, the query.
  const named = route.tag !== "System" || route.path.includes(":");
  const changes = route.method !== "GET";
  return [
    400,
    ...(route.role === "public" ? [] : [401, 403]),
    ...(named ? [404] : []),
    // One route takes all paths of the workspace, and judges their methods itself.
    ...(route.protocol === "quantum" ? [405] : []),
    ...(changes ? [409] : []),
    ...(changes && route.protocol === "ketline" ? [412] : []),
    ...(takesBody || changes ? [413] : []),
    ...(route.protocol === "scoring" && takesBody ? [415] : []),
    ...(route.protocol === "inference" || route.protocol === "scoring" ? [422] : []),
    431,
    500,
    501,
    503,
    504,
    ...(changes ? [507] : []),
  ];
}

/** References to `components.responses`, for all statuses that the route does not describe itself. */
export function commonErrors(route: Route): Record<string, unknown> {
  const responses: Record<string, unknown> = {};
  for (const status of statusesOf(route)) {
    if (route.responses[status] === undefined) responses[status] = reference(route.protocol, status);
  }
  return responses;
}

const names: Readonly<Record<Protocol, string>> = {
  ketline: "Ketline",
  mlflow: "Mlflow",
  inference: "Inference",
  scoring: "Scoring",
  quantum: "Quantum",
};

/** What no route sees: the door refuses it, in the same words at every path. */
const ofTheDoor: ReadonlySet<number> = new Set([431]);

function reference(protocol: Protocol, status: number) {
  if (ofTheDoor.has(status)) return { $ref: `#/components/responses/Door${status}` };
  return { $ref: `#/components/responses/${names[protocol]}${status}` };
}

/** `components.responses` and `components.schemas`: what the routes refer to, in the words of their protocols. */
export function errorComponents(routes: readonly Route[]): {
  readonly responses: Record<string, unknown>;
  readonly schemas: Record<string, unknown>;
} {
  const responses: Record<string, unknown> = {};
  const schemas: Record<string, unknown> = {};
  for (const status of ofTheDoor) {
    schemas.KetlineError = errorSchemas.KetlineError;
    responses[`Door${status}`] = {
      description: descriptions[status],
      content: { "application/problem+json": { schema: { $ref: "#/components/schemas/KetlineError" } } },
    };
  }
  for (const route of routes) {
    const { protocol } = route;
    const name = names[protocol];
    const schema = `${name}Error`;
    schemas[schema] = errorSchemas[schema];
    const type = protocol === "ketline" ? "application/problem+json" : "application/json";
    for (const status of statusesOf(route)) {
      if (route.responses[status] !== undefined || ofTheDoor.has(status)) continue;
      responses[`${name}${status}`] = {
        description: descriptions[status],
        ...(headersOf[status] === undefined ? {} : { headers: headersOf[status] }),
        content: { [type]: { schema: { $ref: `#/components/schemas/${schema}` } } },
      };
    }
  }
  return { responses, schemas };
}

const text = { type: "string" } as const;
const errorSchemas: Readonly<Record<string, unknown>> = {
  KetlineError: {
    type: "object",
    description: "RFC 9457 problem details",
    required: ["title", "status", "detail"],
    properties: {
      type: text,
      title: text,
      status: { type: "integer" },
      detail: { ...text, description: "What was wrong, with which value, and what would be right" },
      field: { ...text, description: "The part of the request at fault" },
    },
  },
  MlflowError: codeAndMessage("As MLflow's server writes errors"),
  ScoringError: codeAndMessage("As MLflow's scoring server writes errors"),
  InferenceError: {
    type: "object",
    description: "As the Open Inference Protocol writes errors",
    required: ["error"],
    properties: { error: text },
  },
  QuantumError: {
    type: "object",
    description: "As Azure writes errors",
    required: ["error"],
    properties: {
      error: { type: "object", required: ["code", "message"], properties: { code: text, message: text } },
    },
  },
};

function codeAndMessage(description: string) {
  return {
    type: "object",
    description,
    required: ["error_code", "message"],
    properties: { error_code: text, message: text },
  };
}

function header(description: string) {
  return { description, schema: { type: "string" } };
}
