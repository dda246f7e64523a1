import { z } from "zod";
import type { Route, RouteResponse } from "./route.ts";

const problem = {
  description: "What was wrong, as RFC 9457 problem details",
  content: {
    "application/problem+json": {
      schema: {
        type: "object",
        required: ["title", "status", "detail"],
        properties: {
          type: { type: "string" },
          title: { type: "string" },
          status: { type: "integer" },
          detail: { type: "string" },
          field: { type: "string" },
        },
      },
    },
  },
};

/** The OpenAPI 3.1 description of Ketline's own routes, derived from the same schemas that parse the requests. */
export function openApiDocument(routes: readonly Route[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    if (route.protocol !== "ketline") continue;
    const path = route.path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operation(route, path);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Ketline",
      version,
      description:
        "Ketline's own API. MLflow's REST API, the Open Inference Protocol and the Azure Quantum data plane are served " +
        "beside it, as their own specifications describe them.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    tags: [...new Set(routes.filter((route) => route.protocol === "ketline").map((route) => route.tag))].map(
      (name) => ({ name }),
    ),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        basic: { type: "http", scheme: "basic" },
      },
      responses: { problem },
    },
  };
}

function operation(route: Route, path: string): Record<string, unknown> {
  const parameters = [...pathParameters(path, route.params), ...objectParameters(route.query, "query")];
  return {
    operationId: `${route.method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+(.)?/g, (_, letter: string | undefined) => letter?.toUpperCase() ?? "")}`,
    tags: [route.tag],
    summary: route.summary,
    description: [
      route.description,
      route.role === "public" ? "Open to everyone." : `Needs the role ${route.role}.`,
    ]
      .filter((text) => text !== undefined)
      .join("\n\n"),
    security: route.role === "public" ? [] : [{ bearer: [] }, { basic: [] }],
    "x-role": route.role,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...requestBody(route.body),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.responses).map(([status, response]) => [status, responseObject(response)]),
      ),
      default: { $ref: "#/components/responses/problem" },
    },
  };
}

function responseObject({ description, schema, contentType }: RouteResponse): Record<string, unknown> {
  if (schema === undefined) {
    return contentType === undefined
      ? { description }
      : { description, content: { [contentType]: { schema: {} } } };
  }
  return {
    description,
    content: { [contentType ?? "application/json"]: { schema: jsonSchema(schema, "output") } },
  };
}

function requestBody(body: Route["body"]): Record<string, unknown> {
  if (body === undefined) return {};
  if (body === "stream") {
    return { requestBody: { required: true, content: { "application/octet-stream": { schema: {} } } } };
  }
  return {
    requestBody: { required: true, content: { "application/json": { schema: jsonSchema(body, "input") } } },
  };
}

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query";
  readonly required: boolean;
  readonly schema: unknown;
  readonly description?: string;
}

/** Every name in the path, with its schema where the route has one. */
function pathParameters(path: string, params: Route["params"]): Parameter[] {
  const described = new Map(objectParameters(params, "path").map((parameter) => [parameter.name, parameter]));
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    ...(described.get(name) ?? { name, in: "path" as const, schema: { type: "string" } }),
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

function jsonSchema(schema: z.ZodType, io: "input" | "output"): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    target: "draft-2020-12",
  });
  return rest;
}
