import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Route } from "../../../shared/http/index.ts";
import type { FuzzRequest } from "./exchange.ts";
import type { FuzzGround } from "./ground.ts";
import { oddText } from "./mutation.ts";
import { pick, type Random } from "./odd-values.ts";

/** A good request of one route: one that made the ground, or one made from the route's schemas and what is there. */
export function seedOf(route: Route, ground: FuzzGround, random: Random): FuzzRequest {
  const recorded = ground.recorded.get(route);
  if (recorded !== undefined && recorded.length > 0 && random() < 0.6) return pick(random, recorded);
  const path = route.path.replace(/:(\w+)(\{[^}]*\})?/g, (_, name: string) => {
    const before = route.path.split(`/:${name}`)[0]?.split("/").at(-1) ?? "";
    return encodeURIComponent(
      knownText(`${before}.${name}`, ground, random) ?? knownText(name, ground, random) ?? "x",
    );
  });
  const { body, query = route.method === "GET" ? route.accepts : undefined } = route;
  const asked = query === undefined ? "" : queryOf(sample(jsonSchema(query), ground, random));
  const schema = body === undefined || body === "stream" ? route.accepts : body;
  const value =
    schema === undefined || route.method === "GET" ? undefined : sample(jsonSchema(schema), ground, random);
  return {
    method: route.method,
    target: `${path}${asked === "" ? "" : `?${asked}`}`,
    headers: value === undefined ? {} : { "content-type": "application/json" },
    body: value === undefined ? undefined : Buffer.from(JSON.stringify(value) ?? ""),
  };
}

/** A route's recorded requests keep their numbers of revisions and their ids; the rest of the values is drawn anew. */
function knownText(name: string, ground: FuzzGround, random: Random): string | undefined {
  const values = ground.values.get(name);
  return values === undefined ? undefined : pick(random, values);
}

type JsonSchema = Readonly<Record<string, unknown>>;
const schemas = new WeakMap<z.ZodType, JsonSchema>();

function jsonSchema(schema: z.ZodType): JsonSchema {
  const known = schemas.get(schema);
  if (known !== undefined) return known;
  const made: JsonSchema = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  schemas.set(schema, made);
  return made;
}

function sample(
  schema: JsonSchema,
  ground: FuzzGround,
  random: Random,
  root = schema,
  name = "",
  depth = 0,
): unknown {
  const inner = (next: unknown, at = name) => sample(next as JsonSchema, ground, random, root, at, depth + 1);
  if (depth > 12) return null;
  if (typeof schema.$ref === "string") {
    const definitions = root.$defs as Record<string, JsonSchema> | undefined;
    return inner(definitions?.[schema.$ref.split("/").at(-1) ?? ""] ?? {});
  }
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum)) return pick(random, schema.enum);
  const choices = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined;
  if (choices !== undefined) return inner(pick(random, choices));
  if (Array.isArray(schema.allOf)) return Object.assign({}, ...schema.allOf.map((part) => inner(part)));
  switch (schema.type) {
    case "string":
      return sampleText(schema, name, ground, random);
    case "integer":
    case "number":
      return sampleNumber(schema, random);
    case "boolean":
      return random() < 0.5;
    case "null":
      return null;
    case "array":
      return Array.from({ length: Math.floor(random() * 3) + Number(schema.minItems ?? 0) }, () =>
        inner(schema.items ?? {}),
      );
    case "object": {
      const required = (schema.required ?? []) as string[];
      const entries = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>)
        .filter(([key]) => required.includes(key) || random() < 0.5)
        .map(([key, value]) => [key, inner(value, key)] as const);
      const free = typeof schema.additionalProperties === "object" && random() < 0.7;
      return Object.fromEntries(
        free ? [...entries, ["theta", inner(schema.additionalProperties, "theta")]] : entries,
      );
    }
    default:
      return pick<unknown>(random, [1, "a", true, null, [], {}]);
  }
}

function sampleText(schema: JsonSchema, name: string, ground: FuzzGround, random: Random): string {
  if (schema.format === "uuid") return knownText("id", ground, random) ?? randomUUID();
  if (schema.format === "date-time") return new Date(1.7e12 + random() * 1e11).toISOString();
  const known = knownText(name, ground, random);
  if (known !== undefined && random() < 0.9) return known;
  return pick(random, ["a", "abc", "1", "2001-03-01", "latest", "name", oddText(random)]);
}

function sampleNumber({ minimum, maximum, exclusiveMinimum }: JsonSchema, random: Random): number {
  const low = Number(minimum ?? exclusiveMinimum ?? 0);
  const high = Math.min(Number(maximum ?? low + 100), low + 10_000);
  return pick(random, [low, high, Math.floor(low + random() * (high - low)), low + 1]);
}

function queryOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return "";
  const query = new URLSearchParams();
  for (const [key, item] of Object.entries(value)) {
    for (const one of Array.isArray(item) ? item : [item]) query.append(key, String(one).toWellFormed());
  }
  return query.toString();
}
