import type { z } from "zod";
import { errorFrom, MlflowError } from "../errors.ts";
import { authorizationOf, type MlflowAuth } from "./authorization.ts";
import { delayOf, isWorthRetrying, type RetryOptions, type Wait, waitFor, wasNeverSent } from "./retries.ts";
import { parseServerUrl, type ServerKind } from "./server-url.ts";
import { Stalled, watchForStalls } from "./stall.ts";

export interface TransportOptions {
  /** `http://host:5000`, with a base path where there is one, or Azure ML's `azureml://…` tracking URI. */
  readonly url: string;
  readonly auth?: MlflowAuth;
  /** How long nothing may move: no answer, or no further byte of a file. 120 s by default. */
  readonly timeoutMs?: number;
  readonly retries?: RetryOptions;
  /** The platform's own by default. */
  readonly fetch?: typeof fetch;
  /** Pauses between attempts; a timer by default. */
  readonly wait?: Wait;
  /** From 0 to 1, for the jitter of pauses; `Math.random` by default. */
  readonly random?: () => number;
}

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
export type Body = ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | Blob | string;

export interface Call {
  readonly method: Method;
  /** Below the server's URL, e.g. `/api/2.0/mlflow/runs/create`. */
  readonly path: string;
  /** Absent and undefined values are left out; lists become repeated keys. */
  readonly query?: Readonly<Record<string, QueryValue>>;
  readonly json?: unknown;
  /** Bytes; a function makes the body anew for each attempt, without which a stream is sent only once. */
  readonly body?: Body | (() => Body | Promise<Body>);
  /** The length of a body that is a stream; of others it is known. */
  readonly bodySizeBytes?: number | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether doing it twice is doing it once; every method but POST is taken to be so. */
  readonly idempotent?: boolean;
  readonly signal?: AbortSignal | undefined;
}

type QueryValue = string | number | boolean | readonly string[] | undefined;

/** Sends calls: authorised, within their time, tried again where that is safe, and failing with `MlflowError` only. */
export interface Transport {
  readonly kind: ServerKind;
  readonly base: string;
  /** A JSON call. @throws MlflowError. */
  call<Answer>(schema: z.ZodType<Answer>, call: Call): Promise<Answer>;
  /** The answer as it comes. Read it to its end, or cancel its body. @throws MlflowError. */
  open(call: Call): Promise<Response>;
}

export function createTransport(options: TransportOptions): Transport {
  const { kind, base } = parseServerUrl(options.url);
  const { timeoutMs = 120_000, wait = waitFor, random = Math.random } = options;
  const { count = 5, firstDelayMs = 500, maxDelayMs = 60_000 } = options.retries ?? {};
  // Looked up at each call, so that whoever replaces the platform's (instrumentation, tests) is heard.
  const fetchIt = options.fetch ?? ((input, init) => globalThis.fetch(input, init));

  /** @returns an answer that is not an error, whose end the caller must see to */
  async function send<Result>(call: Call, read: (response: Response, hold: Hold) => Promise<Result>) {
    const idempotent = call.idempotent ?? call.method !== "POST";
    const isOnce = call.body instanceof ReadableStream;
    for (let attempt = 0; ; attempt++) {
      const failure = await attemptOnce(call, read);
      if ("result" in failure) return failure.result;
      const { error, retryAfter, neverSent } = failure;
      const again = error.status === 0 ? idempotent || neverSent : isWorthRetrying(error.status, idempotent);
      if (!again || isOnce || attempt >= count) throw error;
      await wait(delayOf(attempt, retryAfter, { firstDelayMs, maxDelayMs }, random), call.signal);
    }
  }

  async function attemptOnce<Result>(
    call: Call,
    read: (response: Response, hold: Hold) => Promise<Result>,
  ): Promise<{ result: Result } | { error: MlflowError; retryAfter: string | null; neverSent: boolean }> {
    const name = nameOf(call);
    const authorization = await authorizationOf(options.auth);
    const body = typeof call.body === "function" ? await call.body() : call.body;
    const watch = watchForStalls(timeoutMs, call.signal);
    let isHeld = false;
    try {
      const sent = body instanceof ReadableStream ? watch.through(body) : body;
      const response = await fetchIt(`${base}${call.path}${queryOf(call.query)}`, {
        method: call.method,
        headers: {
          accept: "application/json, */*",
          ...(call.json === undefined ? {} : { "content-type": "application/json" }),
          ...call.headers,
          ...(authorization === undefined ? {} : { authorization }),
          ...(sent instanceof ReadableStream && call.bodySizeBytes !== undefined
            ? { "content-length": String(call.bodySizeBytes) }
            : {}),
        },
        ...(call.json === undefined ? {} : { body: JSON.stringify(call.json) }),
        ...(sent === undefined ? {} : { body: sent }),
        // Required by the standard for bodies that are streams; absent from the types of some platforms.
        ...(sent instanceof ReadableStream ? { duplex: "half" } : {}),
        signal: watch.signal,
      });
      if (!response.ok) {
        watch.drop();
        const error = errorFrom(response.status, await response.text(), name, base);
        return { error, retryAfter: response.headers.get("retry-after"), neverSent: false };
      }
      const hold: Hold = (stream) => {
        isHeld = true;
        return watch.untilEnd(stream);
      };
      return { result: await read(response, hold) };
    } catch (cause) {
      watch.drop();
      if (call.signal?.aborted) throw call.signal.reason;
      if (cause instanceof MlflowError) throw cause;
      const stalled = watch.signal.reason instanceof Stalled;
      const error = stalled
        ? new MlflowError("TIMEOUT", 0, name, `${name} at ${base}: nothing moved for ${timeoutMs} ms.`, cause)
        : new MlflowError(
            "UNREACHABLE",
            0,
            name,
            `No answer to ${name} from ${base}: ${reasonOf(cause)}`,
            cause,
          );
      return { error, retryAfter: null, neverSent: wasNeverSent(cause) };
    } finally {
      if (!isHeld) watch.stop();
    }
  }

  return {
    kind,
    base,
    call: (schema, call) =>
      send(call, async (response) => parseAnswer(schema, await response.text(), response.status, call, base)),
    open: (call) =>
      send(call, async (response, hold) =>
        response.body === null
          ? response
          : new Response(hold(response.body), { status: response.status, headers: response.headers }),
      ),
  };
}

/** Keeps watching a body that is read after the call has returned. */
type Hold = (stream: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>;

function parseAnswer<Answer>(
  schema: z.ZodType<Answer>,
  text: string,
  status: number,
  call: Call,
  base: string,
): Answer {
  const name = nameOf(call);
  const wrong = (problem: string) =>
    new MlflowError("INVALID_RESPONSE", status, name, `The answer of ${base} to ${name} ${problem}.`);
  let body: unknown;
  try {
    body = text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    throw wrong("is no JSON: this may be no MLflow server");
  }
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw wrong(`is not as MLflow's API describes it: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
}

function nameOf({ method, path }: Call): string {
  return `${method} ${path.replace(/^\/api\/2\.0\/(mlflow\/)?/, "")}`;
}

function queryOf(query: Call["query"] = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(key, String(one));
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

/** fetch says only "fetch failed"; what happened stands in the causes. */
function reasonOf(error: unknown): string {
  let reason = String(error);
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const code = "code" in at && typeof at.code === "string" ? at.code : "";
    reason = at.message || code || reason;
  }
  return reason;
}
