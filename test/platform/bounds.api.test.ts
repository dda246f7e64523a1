import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { createPlatform, type Platform } from "../../platform.ts";
import { loadConfig } from "../../shared/config.ts";

const directory = mkdtempSync(path.join(tmpdir(), "ketline-bounds-"));
let platform: Platform;

beforeAll(async () => {
  platform = await createPlatform(loadConfig({ KETLINE_DATA: directory, KETLINE_LOG_LEVEL: "silent" }));
});
afterAll(async () => {
  await platform.close();
  rmSync(directory, { recursive: true, force: true });
});

type Schema = { readonly [key: string]: unknown };
const isSchema = (value: unknown): value is Schema => typeof value === "object" && value !== null;

/** The texts and lists of a JSON schema that have no end. */
function endless(schema: unknown, root: Schema, at: string, seen: ReadonlySet<string> = new Set()): string[] {
  if (!isSchema(schema)) return [];
  if (typeof schema.$ref === "string") {
    if (seen.has(schema.$ref)) return [];
    const target = schema.$ref.split("/").at(-1) ?? "";
    const definitions = root.$defs as Record<string, unknown> | undefined;
    return endless(definitions?.[target], root, at, new Set([...seen, schema.$ref]));
  }
  const own: string[] = [];
  const { type, maxLength, pattern, format, maxItems } = schema;
  if (type === "string" && maxLength === undefined && !("enum" in schema) && !("const" in schema)) {
    const ends =
      (typeof pattern === "string" && !/(?<!\\)[*+]|,\}/.test(pattern.replace(/\[[^\]]*\]/g, "c"))) ||
      format === "date-time";
    if (!ends) own.push(`${at}: a text`);
  }
  if (type === "array" && maxItems === undefined && schema.items !== undefined) own.push(`${at}: a list`);
  const inner = [
    ...Object.entries(isSchema(schema.properties) ? schema.properties : {}).map(
      ([key, value]) => [`${at}.${key}`, value] as const,
    ),
    ...["anyOf", "oneOf", "allOf", "prefixItems"].flatMap((key) =>
      ((schema[key] as unknown[] | undefined) ?? []).map((value) => [at, value] as const),
    ),
    [`${at}[]`, schema.items] as const,
    [`${at}.*`, schema.additionalProperties] as const,
  ];
  return [...own, ...inner.flatMap(([where, value]) => endless(value, root, where, seen))];
}

const mlflow = async (call: string, body: object) => {
  const response = await platform.app.request(`http://localhost/api/2.0/mlflow/${call}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, size: text.length, body: JSON.parse(text) };
};

describe("what a request may hold", () => {
  it("has an end in every schema: each text a length, each list a count", () => {
    const found = platform.routes.flatMap((route) =>
      [route.body, route.query, route.accepts].flatMap((schema) => {
        if (schema === undefined || schema === "stream") return [];
        const json: Schema = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
        return endless(json, json, `${route.method} ${route.path}`);
      }),
    );
    expect(found).toEqual([]);
  });

  const long = "x".repeat(1_000_000);
  it.each([
    ["runs/create", { experiment_id: "0", run_name: long }, "run_name"],
    ["runs/create", { experiment_id: "0", user_id: long }, "user_id"],
    ["runs/create", { experiment_id: "0", tags: [{ key: "mlflow.runName", value: long }] }, "run_name"],
    ["experiments/create", { name: long }, "name"],
    ["experiments/create", { name: "e", artifact_location: long }, "artifact_location"],
    ["experiments/create", { name: "e", tags: pairs(20_000) }, "tags"],
    ["registered-models/create", { name: long }, "name"],
    ["registered-models/create", { name: "m", description: long }, "description"],
    ["registered-models/create", { name: "m", tags: pairs(20_000) }, "tags"],
    ["model-versions/create", { name: "m", source: long }, "source"],
    ["model-versions/create", { name: "m", source: "s", run_link: long }, "run_link"],
    ["logged-models", { experiment_id: "0", model_type: long }, "model_type"],
    ["logged-models", { experiment_id: "0", params: pairs(20_000) }, "params"],
    [
      "logged-models/search",
      { experiment_ids: ["0"], datasets: Array(2000).fill({ dataset_name: "d" }) },
      "datasets",
    ],
    ["runs/search", { experiment_ids: ["0"], page_token: long }, "page_token"],
    ["runs/search", { experiment_ids: ["0"], filter: long }, "filter"],
    ["runs/search", { experiment_ids: ["0"], order_by: [long] }, "order_by"],
  ])("is refused by name past its bound: %s %#", async (call, body, field) => {
    const answer = await mlflow(call, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error_code).toBe("INVALID_PARAMETER_VALUE");
    expect(answer.body.message).toContain(field);
    expect(answer.size).toBeLessThan(10_000);
  });

  it("counts characters, not units of UTF-16", async () => {
    const name = "𝜆".repeat(250);
    expect((await mlflow("runs/create", { experiment_id: "0", run_name: name })).status).toBe(200);
    expect((await mlflow("runs/create", { experiment_id: "0", run_name: `${name}x` })).status).toBe(400);
  });
});

function pairs(count: number) {
  return Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: "v" }));
}

describe("a list whose rows are large", () => {
  it("ends early with a token for the rest, and loses nothing", async () => {
    const { experiment_id } = (await mlflow("experiments/create", { name: "large" })).body;
    const tags = pairs(100).map(({ key }) => ({ key, value: "y".repeat(8000) }));
    for (let index = 0; index < 30; index++) {
      const run = (await mlflow("runs/create", { experiment_id, tags: [] })).body.run.info;
      expect((await mlflow("runs/log-batch", { run_id: run.run_id, tags })).status).toBe(200);
    }
    const ids = new Set<string>();
    let token: string | undefined;
    let pages = 0;
    do {
      const page = await mlflow("runs/search", {
        experiment_ids: [experiment_id],
        ...(token === undefined ? {} : { page_token: token }),
      });
      for (const { info } of page.body.runs) ids.add(info.run_id);
      token = page.body.next_page_token;
      pages++;
    } while (token !== undefined);
    expect(ids.size).toBe(30);
    expect(pages).toBeGreaterThan(1);
  });
});
