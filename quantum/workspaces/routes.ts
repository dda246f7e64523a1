import { z } from "zod";
import type { BlobLinks } from "../../shared/blobs/index.ts";
import { invalid, methodNotAllowed, notFound } from "../../shared/errors.ts";
import {
  type Call,
  invalidBySchema,
  json,
  type Reply,
  type Route,
  readJson,
  route,
} from "../../shared/http/index.ts";
import { type AuditLog, allows } from "../../shared/identity/index.ts";
import { type AnswerContext, containerLink, itemAnswer, providersAnswer, scopeKey } from "./documents.ts";
import { parseFilter, parseOrder } from "./filters.ts";
import { checkContainer, type LocalWorkspace } from "./local.ts";
import type { ItemQuery, ItemRow } from "./store.ts";
import { localProvider } from "./targets.ts";
import {
  apiVersion,
  BlobBody,
  JobAnswer,
  JobBody,
  JobUpdate,
  SasUri,
  SessionAnswer,
  SessionBody,
} from "./wire.ts";

export interface DataPlaneOptions {
  readonly local: LocalWorkspace;
  readonly links: BlobLinks;
  readonly audit: AuditLog;
  /** Stores a job that came over the wire and has it executed. @returns whether it was new */
  readonly insert: (row: ItemRow, actor: Call["actor"]) => Promise<boolean>;
}

/**
 * The data plane of Azure Quantum, spoken by this server. Its addresses are matched without regard to case and have
 * verbs as suffixes (`jobs/{id}:cancel`), which no router of templates does: one route per method takes them all.
 */
export function dataPlaneRoutes(options: DataPlaneOptions): readonly Route[] {
  return (["GET", "PUT", "POST", "PATCH", "DELETE"] as const).map((method) =>
    route({
      method,
      path: "/subscriptions/:rest{.+}",
      protocol: "quantum",
      role: method === "GET" ? "viewer" : "contributor",
      tag: "Azure Quantum",
      summary: `Local quantum workspace: ${method}`,
      ...(method === "GET" || method === "DELETE" ? {} : { body: "stream" as const }),
      ...(method in bodies ? { accepts: bodies[method] } : {}),
      responses: answersOf(method),
      handle: (call) => dispatch(method, call, options),
    }),
  );
}

const item = JobAnswer.or(SessionAnswer);
const items = z.object({
  value: z.array(z.looseObject({ id: z.string().optional() })),
  nextLink: z.string().nullable(),
});

/** What is read and answered at the paths of a workspace, all of which are one route of each method. */
const bodies: Readonly<Partial<Record<Route["method"], z.ZodType>>> = {
  PUT: JobBody.or(SessionBody),
  PATCH: JobUpdate,
};

function answersOf(method: Route["method"]): Route["responses"] {
  switch (method) {
    case "GET":
      return { 200: { description: "A job, a session, or a list", schema: z.union([items, item]) } };
    case "PUT":
      return {
        200: { description: "The job or the session, as it was there already", schema: item },
        201: { description: "The job, which is new", schema: item },
      };
    case "POST":
      return {
        200: {
          description: "The job or the session; or a link to a container or a blob, of `storage/sasUri`",
          schema: z.union([SasUri, item]),
        },
      };
    case "PATCH":
      return { 200: { description: "The job", schema: item } };
    case "DELETE":
      return { 204: { description: "The job is cancelled or gone, depending on the version of the API" } };
  }
}

interface Operation {
  readonly options: DataPlaneOptions;
  readonly call: Call;
  readonly workspace: string;
  /** What follows the workspace, decoded: `["jobs", "7f…"]`. */
  readonly segments: readonly string[];
  readonly verb: string | undefined;
  readonly answers: AnswerContext;
}

const workspacePath =
  /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/Microsoft\.Quantum\/workspaces\/([^/]+)\/(.+?)\/?$/i;
const scopeName = /^[\w.()-]{1,90}$/;
const maxBodyBytes = 1024 ** 2;

async function dispatch(method: Route["method"], call: Call, options: DataPlaneOptions): Promise<Reply> {
  const path = new URL(call.request.url).pathname;
  const [, subscription, group, name, rest = ""] = workspacePath.exec(path) ?? [];
  if (subscription === undefined || group === undefined || name === undefined) {
    throw notFound(
      `This server knows only workspaces of Microsoft.Quantum below /subscriptions; ${path} is none.`,
    );
  }
  const scope = { subscription: decode(subscription), group: decode(group), name: decode(name) };
  for (const part of Object.values(scope)) {
    if (!scopeName.test(part))
      throw invalid(`"${part}" is no name of a subscription, resource group or workspace.`);
  }
  const [plain = "", verb] = splitVerb(rest);
  const operation: Operation = {
    options,
    call,
    workspace: scopeKey(scope),
    segments: plain.split("/").map(decode),
    verb,
    answers: {
      baseUrl: call.baseUrl,
      links: options.links,
      writable: allows(call.actor, "contributor"),
    },
  };
  const [collection = "", id, nested] = operation.segments;
  const shape = [
    collection,
    ...(id === undefined ? [] : [id === "sasUri" ? id : "{id}"]),
    ...(nested ? [nested] : []),
  ];
  const place = `${shape.join("/")}${verb === undefined ? "" : `:${verb}`}`.toLowerCase();
  const signature = `${method.toLowerCase()} ${place}`;
  const handle = Object.hasOwn(operations, signature) ? operations[signature] : undefined;
  if (handle === undefined || operation.segments.length > 3) {
    const allow = operation.segments.length > 3 ? [] : methodsOf(place);
    if (allow.length > 0) {
      throw methodNotAllowed(`${plain} has no ${method}; it takes ${allow.join(", ")}.`, {
        headers: { allow: allow.join(", ") },
      });
    }
    throw notFound(`The data plane has no ${method} ${plain}${verb === undefined ? "" : `:${verb}`}.`);
  }
  const reply = await handle(operation, id ?? "");
  if (method !== "GET" && collection.toLowerCase() !== "storage") {
    await options.audit.record({
      actor: call.actor,
      action: `quantum-workspace.${verb ?? auditVerbs[method] ?? "change"}`,
      subject: `quantum-workspace/${operation.workspace}/${collection}/${id ?? ""}`,
    });
  }
  return reply;
}

function methodsOf(place: string): readonly string[] {
  const methods = Object.keys(operations)
    .map((signature) => signature.split(" "))
    .filter(([, at]) => at === place)
    .map(([method = ""]) => method.toUpperCase());
  return methods.includes("GET") ? [...methods, "HEAD"] : methods;
}

const auditVerbs: Readonly<Record<string, string>> = { PUT: "put", PATCH: "update", DELETE: "delete" };

const operations: Readonly<Record<string, (operation: Operation, id: string) => Promise<Reply>>> = {
  "put jobs/{id}": putJob,
  "get jobs/{id}": async ({ options, workspace, answers }, id) =>
    json(itemAnswer(await options.local.job(workspace, id), answers)),
  "get jobs": (operation) => list(operation, { itemType: "Job" }),
  "post jobs/{id}:cancel": async ({ options, workspace, answers }, id) =>
    json(itemAnswer(await options.local.cancelJob(workspace, id), answers)),
  "delete jobs/{id}": deleteJob,
  "patch jobs/{id}": patchJob,
  // Until 2025-12-01-preview.
  "patch jobupdateoptions/{id}": patchJob,
  "get providerstatus": async () => json(providersAnswer()),
  "get quotas": async () => json({ value: quotas, nextLink: null }),
  "get quotausages": async () => json({ value: [], nextLink: null }),
  "get toplevelitems": (operation) => list(operation, { topLevel: true }),
  "post storage/sasuri": sasUri,
  "put sessions/{id}": async (operation, id) => {
    const { options, workspace, answers, call } = operation;
    const body = await bodyOf(operation, SessionBody);
    return json(itemAnswer(await options.local.putSession(workspace, id, body, call.actor), answers));
  },
  "post sessions/{id}:close": async ({ options, workspace, answers }, id) =>
    json(itemAnswer(await options.local.closeSession(workspace, id), answers)),
  "get sessions": (operation) => list(operation, { itemType: "Session" }),
  "get sessions/{id}": async ({ options, workspace, answers }, id) =>
    json(itemAnswer(await options.local.session(workspace, id), answers)),
  "get sessions/{id}/jobs": (operation, id) => list(operation, { itemType: "Job", sessionId: id }),
};

/** Simulator time is not rationed; the answer says so instead of being empty. */
const quotas = [
  {
    dimension: "concurrent-jobs",
    scope: "Workspace",
    providerId: localProvider,
    utilization: 0,
    holds: 0,
    limit: 1_000_000,
    period: "None",
  },
];

async function putJob(operation: Operation, id: string): Promise<Reply> {
  const { options, workspace, answers, call } = operation;
  const body = await bodyOf(operation, JobBody);
  const { actor } = call;
  const insert = (row: ItemRow) => options.insert(row, actor);
  const { row, created } = await options.local.putJob(workspace, id, body, actor, insert);
  return json(itemAnswer(row, answers), created ? 201 : 200);
}

async function patchJob(operation: Operation, id: string): Promise<Reply> {
  const update = await bodyOf(operation, JobUpdate);
  return json(
    itemAnswer(await operation.options.local.updateJob(operation.workspace, id, update), operation.answers),
  );
}

/** Before 2025-12-01-preview DELETE meant cancel, and older clients still do. */
async function deleteJob({ options, workspace, call }: Operation, id: string): Promise<Reply> {
  const version = new URL(call.request.url).searchParams.get("api-version") ?? apiVersion;
  if (version < "2025-12-01") await options.local.cancelJob(workspace, id);
  else await options.local.deleteJob(workspace, id);
  return json(null, 204);
}

async function sasUri(operation: Operation): Promise<Reply> {
  const { workspace, answers } = operation;
  const { containerName, blobName } = await bodyOf(operation, BlobBody);
  checkContainer(containerName);
  if (blobName == null) return json({ sasUri: containerLink(workspace, containerName, answers) });
  const link = new URL(containerLink(workspace, containerName, answers));
  const blob = blobName.split("/").map(encodeURIComponent).join("/");
  return json({ sasUri: `${link.origin}${link.pathname}/${blob}${link.search}` });
}

const defaultTop = 100;

async function list(
  { options, call, workspace, answers }: Operation,
  what: Pick<ItemQuery, "itemType" | "sessionId" | "topLevel">,
): Promise<Reply> {
  const url = new URL(call.request.url);
  const filter = url.searchParams.get("filter") ?? "";
  const orderby = url.searchParams.get("orderby") ?? "";
  const skip = countOf(url, "skip", 0, 1_000_000);
  const top = countOf(url, "top", defaultTop, 1000);
  const rows = await options.local.list({
    workspace,
    ...what,
    ...(filter === "" ? {} : { filter: parseFilter(filter) }),
    order: orderby === "" ? { column: "created_ms", descending: true } : parseOrder(orderby),
    skip,
    limit: top + 1,
  });
  const next = new URL(url.pathname + url.search, call.baseUrl);
  next.searchParams.set("skip", String(skip + top));
  if (!next.searchParams.has("api-version")) next.searchParams.set("api-version", apiVersion);
  return json({
    value: rows.slice(0, top).map((row) => itemAnswer(row, answers)),
    nextLink: rows.length > top ? next.href : null,
  });
}

function countOf(url: URL, name: string, otherwise: number, most: number): number {
  const text = url.searchParams.get(name) ?? url.searchParams.get(`$${name}`);
  if (text === null || text === "") return otherwise;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw invalid(`${name} is "${text}"; it is a whole number from 0 to ${most}.`, { field: name });
}

async function bodyOf<Body>({ call }: Operation, schema: z.ZodType<Body>): Promise<Body> {
  const value = await readJson(call.request, maxBodyBytes);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidBySchema(parsed.error, value, "body");
}

function splitVerb(rest: string): readonly [string, string | undefined] {
  const colon = rest.lastIndexOf(":");
  return colon > rest.lastIndexOf("/") ? [rest.slice(0, colon), rest.slice(colon + 1)] : [rest, undefined];
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw invalid(`"${segment}" is not well encoded.`);
  }
}
