import type { z } from "zod";
import type { Route, RouteResponse } from "../route.ts";
import { commonErrors, errorComponents } from "./common-errors.ts";
import { hoisted } from "./components.ts";
import { type ExampleRequest, exampleOf, type RequestExample } from "./examples.ts";
import { jsonSchema } from "./json-schema.ts";

/** Where a route stands in the description: its path with `{name}` for each parameter. */
export function documentedPath(path: string): string {
  return path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");
}

/**
 * The OpenAPI 3.1 description of every route, of whichever protocol, derived from the same schemas that parse the
 * requests, or, where a handler reads its request itself, from what it `accepts`.
 *
 * @param serverUrl where the server answers, as the reader reached it
 */
export function openApiDocument(
  routes: readonly Route[],
  version: string,
  serverUrl = "http://127.0.0.1:7071",
  requestExamples: readonly RequestExample[] = [],
): Record<string, unknown> {
  const examples = new Map(requestExamples.map(([call, request]) => [call, request]));
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = documentedPath(route.path);
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operation(route, path, exampleOf(examples, route.method, path));
  }
  const errors = errorComponents(routes);
  const shared = hoisted(paths, Object.keys(errors.schemas));
  return {
    openapi: "3.1.0",
    info: {
      title: "Ketline",
      version,
      description:
        "Everything that this server answers: Ketline's own API, MLflow's REST API, the Open Inference Protocol, MLflow's " +
        "scoring protocol and the Azure Quantum data plane. A path answers errors in the words of its protocol. HEAD is " +
        "taken wherever GET is; OPTIONS names a path's methods; any other method answers 405 with `Allow`.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: serverUrl }],
    tags: [...new Set(routes.map(tagOf))].map((name) => ({
      name,
      description: tagDescriptions[name] ?? `${name} of Ketline's own API`,
    })),
    paths: shared.paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "A Ketline token, or one of Entra" },
        basic: {
          type: "http",
          scheme: "basic",
          description: "A Ketline token as the password; any user name",
        },
      },
      responses: errors.responses,
      schemas: { ...errors.schemas, ...shared.schemas },
    },
  };
}

const tagDescriptions: Readonly<Record<string, string>> = {
  MLflow: "Tracking, artifacts and the model registry, as MLflow's clients call them",
  "MLflow (ajax-api)": "The same calls under the prefix of MLflow's web page",
  "MLflow, not served": "Calls of MLflow's GenAI side, which are answered with ENDPOINT_NOT_FOUND",
  "MLflow scoring": "Predictions as `mlflow models serve` gives them",
  "Open Inference Protocol": "Predictions and models, version 2 of the protocol",
  "Azure Quantum": "The local quantum workspace on the wire of Azure Quantum's data plane",
  Blobs: "What signed links lead to; the signature is the credential",
  System: "Probes and this description",
};

function tagOf({ tag, path, responses }: Route): string {
  if (tag !== "MLflow") return tag;
  if (responses[200] === undefined) return "MLflow, not served";
  return path.startsWith("/ajax-api/") ? "MLflow (ajax-api)" : tag;
}

function operation(route: Route, path: string, example: ExampleRequest = {}): Record<string, unknown> {
  const names = new Set([...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name));
  const isRead = route.method === "GET";
  const parameters = [
    ...pathParameters(path, route),
    ...objectParameters(route.query, "query"),
    ...(isRead ? objectParameters(route.accepts, "query").filter(({ name }) => !names.has(name)) : []),
  ].map((parameter) => withExample(parameter, example));
  return {
    operationId: operationId(route.method, path),
    tags: [tagOf(route)],
    summary: route.summary,
    description: [
      route.description,
      route.role === "public" ? "Open to everyone." : `Needs the role ${route.role}.`,
    ]
      .filter((text) => text !== undefined)
      .join("\n\n"),
    security: route.role === "public" ? [] : [{ bearer: [] }, { basic: [] }],
    "x-role": route.role,
    "x-protocol": route.protocol,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(isRead ? {} : requestBody(route, names, example.body)),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.responses).map(([status, response]) => [status, responseObject(response)]),
      ),
      ...commonErrors(route),
    },
  };
}

function operationId(method: string, path: string): string {
  const words = path.replace(/[^A-Za-z0-9]+(.)?/g, (_, letter: string | undefined) => {
    return letter?.toUpperCase() ?? "";
  });
  return `${method.toLowerCase()}${words}`;
}

function responseObject({ description, schema, contentType }: RouteResponse): Record<string, unknown> {
  if (schema === undefined && contentType === undefined) return { description };
  const body = { schema: schema === undefined ? {} : jsonSchema(schema, "output") };
  const types = contentType === undefined ? ["application/json"] : [contentType].flat();
  return { description, content: Object.fromEntries(types.map((type) => [type, body])) };
}

function requestBody({ body, accepts, bodyTypes }: Route, pathNames: ReadonlySet<string>, example: unknown) {
  const shown = example === undefined ? {} : { example };
  if (body === undefined) return {};
  if (body !== "stream") {
    const optional = body.safeParse(undefined).success;
    return {
      requestBody: {
        required: !optional,
        content: { "application/json": { schema: jsonSchema(body, "input"), ...shown } },
      },
    };
  }
  const types = bodyTypes ?? (accepts === undefined ? ["application/octet-stream"] : ["application/json"]);
  const content = types.map((type, index) => [
    type,
    {
      ...(index === 0 ? shown : {}),
      schema:
        accepts === undefined || !type.endsWith("json")
          ? {}
          : without(jsonSchema(accepts, "input"), pathNames),
    },
  ]);
  return { requestBody: { required: true, content: Object.fromEntries(content) } };
}

/** What stands in the path is not sent in the body. */
function without(schema: Record<string, unknown>, names: ReadonlySet<string>): Record<string, unknown> {
  const { properties, required } = schema;
  if (names.size === 0 || typeof properties !== "object" || properties === null) return schema;
  const left = Object.entries(properties).filter(([name]) => !names.has(name));
  const needed = Array.isArray(required) ? required.filter((name) => !names.has(String(name))) : [];
  const { required: _, ...rest } = schema;
  return {
    ...rest,
    properties: Object.fromEntries(left),
    ...(needed.length === 0 ? {} : { required: needed }),
  };
}

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query";
  readonly required: boolean;
  readonly schema: unknown;
  readonly description?: string;
  readonly example?: string | number | readonly string[];
}

function withExample(parameter: Parameter, { path, query }: ExampleRequest): Parameter {
  const example = (parameter.in === "path" ? path : query)?.[parameter.name];
  return example === undefined ? parameter : { ...parameter, example };
}

/** Every name in the path, with its schema where the route has one. */
function pathParameters(path: string, { params, accepts, path: template }: Route): Parameter[] {
  const described = new Map(
    [...objectParameters(accepts, "path"), ...objectParameters(params, "path")].map((parameter) => [
      parameter.name,
      parameter,
    ]),
  );
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    ...(described.get(name) ?? { name, in: "path" as const, schema: { type: "string" } }),
    ...(template.includes(`:${name}{`) ? { description: "May contain slashes" } : {}),
    required: true,
  }));
}

function objectParameters(schema: z.ZodType | undefined, where: "path" | "query"): Parameter[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchema(schema, "input") as {
    properties?: Record<string, { description?: string }>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: where,
    required: required.includes(name),
    schema: property,
    ...(property.description === undefined ? {} : { description: property.description }),
  }));
}
