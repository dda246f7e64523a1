import { z } from "zod";

/** A zod schema as JSON Schema 2020-12, as readers and generators of other languages take it. */
export function jsonSchema(schema: z.ZodType, io: "input" | "output"): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    target: "draft-2020-12",
    override: ({ jsonSchema: made }) => {
      if (typeof made.pattern === "string") {
        const portable = portablePattern(made.pattern);
        if (portable === undefined) delete made.pattern;
        else made.pattern = portable;
      }
      // Draft 2020-12 asks for a definition of its own; as `anyOf` of a constant most generators make it optional.
      if (made.type === undefined && made.const !== undefined) made.type = jsonType(made.const);
    },
  });
  return rest;
}

/** What JSON Schema's patterns may be everywhere: no classes of Unicode, no looking around, no named groups. */
function portablePattern(pattern: string): string | undefined {
  const plain = pattern.replaceAll("\\P{Cc}", "[^\\u0000-\\u001f\\u007f-\\u009f]");
  return /\\[pP]\{|\(\?[=!<]|\\u\{/.test(plain) ? undefined : plain;
}

function jsonType(value: unknown): "string" | "number" | "boolean" | "null" | "object" {
  if (value === null) return "null";
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return typeof value as "string" | "number" | "boolean";
  }
  return "object";
}
