/** What `hoisted` works on: JSON Schema, and the parts of an OpenAPI document around it. */
type Json = unknown;
type Members = Readonly<Record<string, Json>>;

/** Shorter ones are as readable where they stand. */
const fewestCharacters = 120;

interface Found {
  readonly schema: Members;
  readonly name: string;
  times: number;
}

/**
 * Moves schemas that stand in several places of the paths to `components.schemas`, under their title, the name of the member
 * that they were first met at, or that of their call, so that the document stays small and generators make one type of each.
 *
 * @param taken names that components have already
 */
export function hoisted(
  paths: Members,
  taken: readonly string[],
): { readonly paths: Members; readonly schemas: Record<string, Json> } {
  const found = new Map<string, Found>();
  visitSchemas(paths, (schema, name) => {
    const key = JSON.stringify(schema);
    if (key.length < fewestCharacters || !isShareable(schema)) return "within";
    const known = found.get(key);
    if (known === undefined) {
      found.set(key, { schema, name, times: 1 });
      return "within";
    }
    known.times++;
    // What it contains was counted with it.
    return "past";
  });

  const used = new Set(taken);
  const names = new Map<string, string>();
  for (const [key, { name, times }] of found) {
    if (times < 2) continue;
    let free = name;
    for (let number = 2; used.has(free); number++) free = `${name}${number}`;
    used.add(free);
    names.set(key, free);
  }

  const refer = (value: Json, isWhole: boolean): Json => {
    if (Array.isArray(value)) return value.map((each) => refer(each, true));
    if (!isMembers(value)) return value;
    const name = isWhole ? names.get(JSON.stringify(value)) : undefined;
    if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
    return Object.fromEntries(
      // Examples, defaults and constants are values that may look like a schema.
      Object.entries(value).map(([key, each]) => [key, isValue(key, value) ? each : refer(each, true)]),
    );
  };
  const schemas: Record<string, Json> = {};
  for (const [key, name] of names) {
    const { schema } = found.get(key) as Found;
    schemas[name] = refer(schema, false);
  }
  return { paths: refer(paths, false) as Members, schemas };
}

/** Objects and choices make types of their own; a text with a pattern does not. */
function isShareable(schema: Members): boolean {
  return isMembers(schema.properties) || Array.isArray(schema.anyOf) || Array.isArray(schema.oneOf);
}

/** Calls for every schema below, from the outside in. */
function visitSchemas(
  value: Json,
  visit: (schema: Members, name: string) => "within" | "past",
  name = "",
): void {
  if (Array.isArray(value)) {
    for (const each of value) visitSchemas(each, visit, name);
    return;
  }
  if (!isMembers(value)) return;
  if (isSchema(value) && visit(value, nameOf(value, name)) === "past") return;
  for (const [key, each] of Object.entries(value)) {
    if (isValue(key, value)) continue;
    visitSchemas(each, visit, placeOf(key, name));
  }
}

/** What is below a member, in words: `/api/2.0/mlflow/runs/create`, `post`, `requestBody` is `runs create request`. */
function placeOf(key: string, above: string): string {
  if (key.startsWith("/")) {
    return key.replace(/^\/(ajax-)?api\/[^/]+\/(mlflow\/)?|\{[^}]*\}/g, "").replace(/[^A-Za-z0-9]+/g, " ");
  }
  if (key === "requestBody") return `${above} request`;
  if (key === "responses") return `${above} response`;
  if (key === "parameters") return `${above} parameter`;
  return structural.has(key) || /^\d+$|\//.test(key) ? above : key;
}

const structural: ReadonlySet<string> = new Set([
  ..."properties items prefixItems anyOf oneOf allOf additionalProperties propertyNames".split(" "),
  ..."content schema get put post patch delete".split(" "),
]);

function isSchema(value: Members): boolean {
  return typeof value.type === "string" || Array.isArray(value.anyOf) || Array.isArray(value.oneOf);
}

function isValue(key: string, parent: Members): boolean {
  return ["example", "examples", "default", "const", "enum"].includes(key) && !isPropertyMap(parent);
}

/** `properties` may have a member of any name; it has no `type` of text itself. */
function isPropertyMap(members: Members): boolean {
  const values = Object.values(members);
  return values.length > 0 && values.every(isMembers);
}

function nameOf({ title }: Members, place: string): string {
  const words = typeof title === "string" && title !== "" ? title : place || "Value";
  return words.replace(/(^|[^A-Za-z0-9]+)([A-Za-z0-9])/g, (_, _gap, letter: string) => letter.toUpperCase());
}

function isMembers(value: Json): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
