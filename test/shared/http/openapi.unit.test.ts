import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { json, openApiDocument, route } from "../../../shared/http/index.ts";
import { thing } from "./ground.ts";

const things = [
  route({
    method: "POST",
    path: "/api/v1/things/:name/files/:path{.+}",
    protocol: "ketline",
    role: "contributor",
    tag: "Things",
    summary: "Put a file",
    description: "Streams it.",
    params: z.object({ name: z.string().max(10).describe("Of the thing"), path: z.string() }),
    query: z.object({
      limit: z.coerce.number().int().min(1).default(5).describe("How many"),
      kind: z.string(),
    }),
    body: z.object({ size: z.number().optional() }),
    responses: {
      201: { description: "Made", schema: z.object({ id: z.string(), at: z.int().nullable() }) },
      204: { description: "Nothing" },
    },
    handle: () => json({}),
  }),
  thing({ path: "/api/v1/public", role: "public", handle: () => json({}) }),
  thing({ path: "/api/v1/upload", method: "PUT", body: "stream", handle: () => json({}) }),
  thing({ path: "/v2/models", protocol: "inference", handle: () => json({}) }),
];
type Operation = Record<string, unknown> & { parameters: { name: string }[] };
const document = openApiDocument(things, "1.2.3") as {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
};

describe("the API description", () => {
  it("is valid OpenAPI 3.1", async () => {
    const result = await new Validator().validate(document);
    expect(result.errors ?? []).toEqual([]);
    expect(document).toMatchObject({ openapi: "3.1.0", info: { version: "1.2.3" } });
  });

  it("has Ketline's own routes only", () => {
    expect(Object.keys(document.paths)).toEqual([
      "/api/v1/things/{name}/files/{path}",
      "/api/v1/public",
      "/api/v1/upload",
    ]);
  });

  it("has parameters, body and answers from the schemas that parse them", () => {
    const operation = document.paths["/api/v1/things/{name}/files/{path}"]?.post;
    expect(operation?.parameters).toEqual([
      {
        name: "name",
        in: "path",
        required: true,
        schema: expect.objectContaining({ maxLength: 10 }),
        description: "Of the thing",
      },
      { name: "path", in: "path", required: true, schema: { type: "string" } },
      {
        name: "limit",
        in: "query",
        required: false,
        schema: expect.objectContaining({ default: 5 }),
        description: "How many",
      },
      { name: "kind", in: "query", required: true, schema: { type: "string" } },
    ]);
    expect(operation).toMatchObject({
      requestBody: { content: { "application/json": { schema: { type: "object" } } } },
      responses: { 201: { content: { "application/json": { schema: { required: ["id", "at"] } } } } },
    });
  });

  it("says who may call what", () => {
    expect(document.paths["/api/v1/public"]?.get).toMatchObject({ security: [], "x-role": "public" });
    expect(document.paths["/api/v1/upload"]?.put).toMatchObject({ "x-role": "viewer" });
    expect(document.paths["/api/v1/upload"]?.put?.description).toContain("Needs the role viewer.");
  });
});
