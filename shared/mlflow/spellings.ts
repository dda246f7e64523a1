import type { z } from "zod";
import { invalid } from "../errors.ts";

/** How a message's fields may be spelled: protobuf's JSON takes a field by its name and by its name in camel case. */
interface Spellings {
  readonly byCamelCase: ReadonlyMap<string, string>;
  readonly nested: ReadonlyMap<string, Spellings>;
}

const none: Spellings = { byCamelCase: new Map(), nested: new Map() };
const known = new WeakMap<z.ZodType, Spellings>();

/**
 * Gives fields that are spelled in camel case (`experimentIds`) the names that the schema knows (`experiment_ids`), in
 * place. Keys that the schema does not name, such as those of maps, stay as they are.
 *
 * @throws invalid for a message that spells one field both ways
 */
export function nameFields(schema: z.ZodType, message: Record<string, unknown>): void {
  rename(spellingsOf(schema), message);
}

/** Whether a text of JSON may hold a field in camel case: most hold none, and need not be looked through. */
export function mayBeCamelCase(text: string): boolean {
  return /"[a-z][a-z0-9]*[A-Z]\w*"\s*:/.test(text);
}

function rename({ byCamelCase, nested }: Spellings, message: Record<string, unknown>): void {
  for (const key of Object.keys(message)) {
    const name = byCamelCase.get(key);
    if (name === undefined) continue;
    if (Object.hasOwn(message, name)) {
      throw invalid(`Request specifies both '${name}' and '${key}'; provide only one of them.`, {
        field: name,
      });
    }
    message[name] = message[key];
    delete message[key];
  }
  for (const [name, spellings] of nested) {
    const value = message[name];
    for (const item of Array.isArray(value) ? value : [value]) {
      if (typeof item === "object" && item !== null) rename(spellings, item as Record<string, unknown>);
    }
  }
}

function spellingsOf(schema: z.ZodType): Spellings {
  let found = known.get(schema);
  if (found === undefined) {
    found = derive(schema);
    known.set(schema, found);
  }
  return found;
}

/** The parts of a zod definition that lead to other schemas. */
interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly element?: z.ZodType;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
  readonly options?: readonly z.ZodType[];
}

function derive(schema: z.ZodType): Spellings {
  const definition = schema._zod.def as unknown as Definition;
  if (definition.shape !== undefined) {
    const names = Object.keys(definition.shape);
    const byCamelCase = new Map(
      names.filter((name) => name.includes("_")).map((name) => [camelCase(name), name]),
    );
    const nested = new Map(
      Object.entries(definition.shape)
        .map(([name, field]) => [name, spellingsOf(field)] as const)
        .filter(([, { byCamelCase, nested }]) => byCamelCase.size > 0 || nested.size > 0),
    );
    return { byCamelCase, nested };
  }
  const inner = [definition.element, definition.innerType, definition.in, definition.out]
    .concat(definition.options ?? [])
    .filter((one) => one !== undefined)
    .map(spellingsOf);
  return inner.find(({ byCamelCase, nested }) => byCamelCase.size > 0 || nested.size > 0) ?? none;
}

/** As protobuf makes JSON names: `run_id` → `runId`. */
function camelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
