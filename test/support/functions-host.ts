import { randomBytes, randomUUID } from "node:crypto";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { functionRoutes } from "./function-routes.ts";
import type {
  Binding,
  FunctionMetadata,
  FunctionsCore,
  InvocationRequest,
  TypedData,
} from "./functions-core.ts";

// A small model of the Functions host: it routes, forwards and answers as the real one does where its source or the
// worker's protocol say so. It stands for the host in tests only.

/** Serves the functions on a random loopback port, over streaming HTTP when the worker offers it. */
export async function startFunctionsHost(core: FunctionsCore): Promise<string> {
  const routes = functionRoutes(core.functions.values());
  const { HttpUri: workerUri } = await core.capabilities();
  const server = http.createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (!response.headersSent)
        response.writeHead(500, { "x-host-error": encodeURIComponent(String(error)) });
      response.end();
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://host");
    if (url.pathname.startsWith("/admin/functions/")) return run(url, request, response);
    const method = request.method ?? "GET";
    for (const route of routes) {
      const params = route.match(decodeURI(url.pathname));
      if (params === null || !route.methods.includes(method)) continue;
      const exchange: Exchange = { core, name: route.name, params, request, response };
      return workerUri === undefined ? buffered(exchange) : streaming(exchange, workerUri);
    }
    response.writeHead(404).end();
  }

  /** The host's own way of running a function that no request triggers: its input in the body. */
  async function run(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = url.pathname.slice("/admin/functions/".length);
    const metadata = core.functions.get(name.toLowerCase());
    if (metadata === undefined) {
      response.writeHead(404).end();
      return;
    }
    await core.invoke(name, triggerRequest(metadata, (await bodyOf(request)).toString()));
    response.writeHead(202).end();
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}

interface Exchange {
  readonly core: FunctionsCore;
  readonly name: string;
  readonly params: Readonly<Record<string, string>>;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Whole bodies through the worker's protocol. A body without a length arrives empty; repeated query keys are joined. */
async function buffered({ core, name, params, request, response }: Exchange): Promise<void> {
  const declared = Number(request.headers["content-length"] ?? 0);
  const bytes = await bodyOf(request);
  const url = new URL(request.url ?? "/", `http://${request.headers.host}`);
  const query = new Map<string, string[]>();
  for (const [key, value] of url.searchParams) query.set(key, [...(query.get(key) ?? []), value]);
  const data: TypedData = {
    http: {
      url: url.href,
      method: request.method ?? "GET",
      nullableHeaders: nullable(Object.entries(headersOf(request))),
      nullableQuery: nullable([...query].map(([key, values]) => [key, values.join(",")])),
      nullableParams: nullable(Object.entries(params)),
      ...(declared > 0 ? { body: { bytes } } : {}),
    },
  };
  const { returnValue } = await core.invoke(name, httpRequest(core, name, data, {}));
  const reply = returnValue?.http;
  if (reply === undefined) throw new Error("The function returned no HTTP response.");
  // One header of each name; the cookies beside them, percent-encoded as ASP.NET Core writes them.
  response.writeHead(Number(reply.statusCode), {
    ...reply.headers,
    ...(reply.cookies?.length
      ? { "set-cookie": reply.cookies.map(({ name: key, value }) => `${key}=${encodeURIComponent(value)}`) }
      : {}),
  });
  response.end(Buffer.from(reply.body?.bytes ?? []));
}

/** The request itself goes to the worker's own HTTP server; the invocation carries only who and where. */
async function streaming(
  { core, name, params, request, response }: Exchange,
  workerUri: string,
): Promise<void> {
  const invocationId = randomUUID();
  const { port } = new URL(workerUri);
  const headers = headersOf(request);
  const upstream = http.request({
    port,
    host: "localhost",
    method: request.method,
    path: request.url,
    headers: {
      ...headers,
      ...(headers["content-length"] === undefined && request.headers["transfer-encoding"] !== undefined
        ? { "transfer-encoding": "chunked" }
        : {}),
      "x-ms-invocation-id": invocationId,
      "x-forwarded-host": request.headers.host ?? "",
      "x-forwarded-proto": "http",
    },
  });
  const answered = new Promise<void>((resolve, reject) => {
    upstream.on("error", reject);
    upstream.on("response", (reply) => {
      response.writeHead(reply.statusCode ?? 500, reply.headers);
      response.flushHeaders();
      reply.on("error", reject);
      reply.on("end", resolve);
      reply.pipe(response);
    });
  });
  answered.catch(() => {});
  request.on("aborted", () => upstream.destroy());
  request.pipe(upstream);
  const metadata = {
    Headers: { json: JSON.stringify(headers) },
    Query: { json: "{}" },
    ...Object.fromEntries(Object.entries(params).map(([key, value]) => [key, { string: value }])),
  };
  try {
    await core.invoke(name, httpRequest(core, name, { http: {} }, metadata), invocationId);
  } catch (error) {
    upstream.destroy();
    throw error;
  }
  await answered;
}

function httpRequest(
  core: FunctionsCore,
  name: string,
  data: TypedData,
  triggerMetadata: Readonly<Record<string, TypedData>>,
): InvocationRequest {
  const metadata = core.functions.get(name.toLowerCase());
  if (metadata === undefined) throw new Error(`There is no function "${name}".`);
  const [binding] = triggerOf(metadata);
  const traceParent = `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-01`;
  return {
    inputData: [{ name: binding, data }],
    triggerMetadata,
    traceContext: { traceParent, traceState: "" },
  };
}

function triggerRequest(metadata: FunctionMetadata, input: string): InvocationRequest {
  const [name, { type }] = triggerOf(metadata);
  switch (type) {
    case "queueTrigger":
      return {
        inputData: [{ name, data: { string: input } }],
        triggerMetadata: { Id: { string: randomUUID() }, DequeueCount: { json: "1" } },
      };
    case "timerTrigger": {
      const at = new Date().toISOString();
      const status = { Last: at, Next: at, LastUpdated: at };
      const timer = { Schedule: { AdjustForDST: true }, ScheduleStatus: status, IsPastDue: false };
      return { inputData: [{ name, data: { json: JSON.stringify(timer) } }], triggerMetadata: {} };
    }
    default:
      return { inputData: [{ name, data: { json: "{}" } }], triggerMetadata: {} };
  }
}

function triggerOf(metadata: FunctionMetadata): [name: string, binding: Binding] {
  const trigger = Object.entries(metadata.bindings).find(([, binding]) => binding.type.endsWith("Trigger"));
  if (trigger === undefined) throw new Error(`The function ${metadata.name} has no trigger.`);
  return trigger;
}

const hopByHop = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "expect",
  "te",
  "trailer",
]);

function headersOf(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined && !hopByHop.has(name))
      headers[name] = Array.isArray(value) ? value.join(",") : value;
  }
  return headers;
}

function nullable(entries: readonly (readonly [string, string])[]): Record<string, { value: string }> {
  return Object.fromEntries(entries.map(([key, value]) => [key, { value }]));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}
