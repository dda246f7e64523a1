import type { Hono } from "hono";
import { documentedPath, openApiDocument, type Route } from "../../shared/http/index.ts";

interface Described {
  readonly description: string;
  readonly content?: Readonly<Record<string, unknown>>;
}
type Responses = Readonly<Record<string, Described | { readonly $ref: string }>>;
interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: Responses }>>>>;
  readonly components: { readonly responses: Readonly<Record<string, Described>> };
}

const largestBytes = 1024 ** 2;

/**
 * Holds each answer of an application against its own description: a status, a media type or a body that the description
 * does not have fails the request, and so the test that made it.
 */
export function holdToDescription(app: Hono, routes: readonly Route[]): void {
  const description = openApiDocument(routes, "0") as unknown as Description;
  const table = routes.map((route) => ({ route, pattern: patternOf(route.path) }));
  const fetch = app.fetch;
  app.fetch = async (request, ...rest) => {
    const response = await fetch(request, ...rest);
    const path = new URL(request.url).pathname;
    const method = request.method === "HEAD" ? "GET" : request.method;
    const found = table.find(({ route, pattern }) => route.method === method && pattern.test(path));
    if (found !== undefined) {
      const differs = await undocumented(found.route, description, request.method, response);
      if (differs !== undefined) {
        throw new Error(`${method} ${found.route.path} answered ${response.status}: ${differs}`);
      }
    }
    return response;
  };
}

function patternOf(path: string): RegExp {
  const source = path
    .replaceAll(".", "\\.")
    .replace(/:\w+(\{[^}]*\})?/g, (_, inner?: string) => (inner === undefined ? "[^/]+" : "[\\s\\S]+"));
  return new RegExp(`^${source}$`);
}

async function undocumented(
  route: Route,
  { paths, components }: Description,
  method: string,
  response: Response,
): Promise<string | undefined> {
  const responses = paths[documentedPath(route.path)]?.[route.method.toLowerCase()]?.responses ?? {};
  const stated = responses[response.status];
  if (stated === undefined) {
    return `the description has only ${Object.keys(responses).join(", ")}. ${await said(response)}`;
  }
  const described = "$ref" in stated ? components.responses[stated.$ref.split("/").at(-1) ?? ""] : stated;
  if (method === "HEAD" || response.body === null) return undefined;
  const [type = ""] = (response.headers.get("content-type") ?? "").split(";");
  const types = Object.keys(described?.content ?? {});
  if (!types.includes(type) && !types.includes("*/*")) {
    if (types.length === 0 && (await response.clone().arrayBuffer()).byteLength === 0) return undefined;
    return `its type is "${type}" and the description has ${types.join(", ") || "none"}. ${await said(response)}`;
  }
  const schema = route.responses[response.status]?.schema;
  const sizeBytes = Number(response.headers.get("content-length") ?? 0);
  if (schema === undefined || !type.endsWith("json") || sizeBytes > largestBytes) return undefined;
  // The largest doubles are written as 1e999, which reads as an infinity.
  const finite = (_: string, value: unknown) =>
    typeof value === "number" ? Math.sign(value) * Math.min(Math.abs(value), Number.MAX_VALUE) : value;
  const { error } = schema.safeParse(JSON.parse(await response.clone().text(), finite));
  if (error === undefined) return undefined;
  const [issue] = error.issues;
  return `${issue?.path.join(".")}: ${issue?.message}. ${await said(response)}`;
}

async function said(response: Response): Promise<string> {
  return `It said: ${(await response.clone().text()).slice(0, 1000)}`;
}
