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
      label: z
        .string()
        .regex(/^\P{Cc}*$/u)
        .optional(),
      code: z
        .string()
        .regex(/^(?!x)\w+$/)
        .optional(),
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

  it("has the routes of every protocol", () => {
    expect(Object.keys(document.paths)).toEqual([
      "/api/v1/things/{name}/files/{path}",
      "/api/v1/public",
      "/api/v1/upload",
      "/v2/models",
    ]);
  });

  it("says the errors that the application adds, in the words of the protocol", () => {
    const upload = document.paths["/api/v1/upload"]?.put?.responses;
    expect(upload).toMatchObject({
      401: { $ref: "#/components/responses/Ketline401" },
      413: { $ref: "#/components/responses/Ketline413" },
    });
    expect(document.paths["/v2/models"]?.get?.responses).toMatchObject({
      404: { $ref: "#/components/responses/Inference404" },
    });
  });

  it("has no pattern that other languages cannot read", () => {
    const text = JSON.stringify(document);
    expect(text).toContain("u007f-");
    expect(text).not.toMatch(/\\\\[pP]\{|\(\?[=!<]/);
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
      {
        name: "path",
        in: "path",
        required: true,
        schema: { type: "string" },
        description: "May contain slashes",
      },
      {
        name: "limit",
        in: "query",
        required: false,
        schema: expect.objectContaining({ default: 5 }),
        description: "How many",
      },
      { name: "kind", in: "query", required: true, schema: { type: "string" } },
      expect.objectContaining({ name: "label" }),
      { name: "code", in: "query", required: false, schema: { type: "string" } },
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
