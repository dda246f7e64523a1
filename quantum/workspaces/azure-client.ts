import type { z } from "zod";
import {
  conflict,
  forbidden,
  invalid,
  isKetlineError,
  type KetlineError,
  notFound,
  timedOut,
  unauthenticated,
  unavailable,
} from "../../shared/errors.ts";

/** One call of an Azure service. */
export interface AzureRequest<Answer> {
  readonly method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE";
  readonly url: string;
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** What a good answer looks like; without it the answer is not read. */
  readonly answer?: z.ZodType<Answer>;
  /** False for storage: its links carry their own authority. */
  readonly authenticated?: boolean;
  readonly signal: AbortSignal;
}

export interface AzureClientOptions {
  /** The header that proves who calls, made anew for each request. */
  readonly authorise: () => Promise<Readonly<Record<string, string>>>;
  readonly fetch: typeof fetch;
  /** Waits between attempts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** For one attempt; 30 s by default. */
  readonly timeoutMs?: number;
}

export type AzureClient = <Answer>(request: AzureRequest<Answer>) => Promise<Answer>;

const attempts = 4;
const firstDelayMs = 800;
const maxDelayMs = 60_000;
/** Azure's guidance for clients: too many requests, and faults that pass. */
const retried: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/**
 * Calls Azure with a time limit and up to four attempts: all calls made through it may be repeated. `Retry-After` is
 * obeyed, otherwise the wait doubles. The errors of the service become errors of the same meaning.
 */
export function createAzureClient(options: AzureClientOptions): AzureClient {
  const { authorise, timeoutMs = 30_000, sleep } = options;

  async function attempt<Answer>(request: AzureRequest<Answer>): Promise<Response | KetlineError> {
    const { method, url, json, bytes, headers, authenticated = true, signal } = request;
    const time = AbortSignal.timeout(timeoutMs);
    try {
      const body = json === undefined ? bytes : new TextEncoder().encode(JSON.stringify(json));
      return await options.fetch(url, {
        method,
        headers: {
          accept: "application/json",
          ...(json === undefined ? {} : { "content-type": "application/json" }),
          ...(authenticated ? await authorise() : {}),
          ...headers,
        },
        ...(body === undefined ? {} : { body: Buffer.from(body) }),
        signal: AbortSignal.any([signal, time]),
      });
    } catch (error) {
      signal.throwIfAborted();
      const host = new URL(url).host;
      if (time.aborted)
        return timedOut(`${host} did not answer within ${timeoutMs / 1000} s.`, { cause: error });
      const reason =
        error instanceof Error ? (error.cause instanceof Error ? error.cause : error).message : String(error);
      return unavailable(`${host} cannot be reached: ${reason}`, { cause: error });
    }
  }

  return async <Answer>(request: AzureRequest<Answer>): Promise<Answer> => {
    // Not `instanceof Response`: the HTTP server of the standalone door puts a class of its own in that place.
    for (let number = 1; ; number++) {
      const response = await attempt(request);
      const passing = isKetlineError(response) || retried.has(response.status);
      if (passing && number < attempts) {
        await sleep(delayOf(response, number), request.signal);
        continue;
      }
      if (isKetlineError(response)) throw response;
      if (!response.ok) throw await errorOf(response, new URL(request.url).host);
      if (request.answer === undefined) {
        await response.body?.cancel();
        return undefined as Answer;
      }
      const parsed = request.answer.safeParse(await response.json().catch(() => undefined));
      if (parsed.success) return parsed.data;
      throw unavailable(
        `${new URL(request.url).host} answered ${request.method} in another form than expected: ${parsed.error.message}`,
      );
    }
  };
}

function delayOf(response: Response | KetlineError, attempt: number): number {
  const after = isKetlineError(response) ? null : response.headers.get("retry-after");
  const seconds = after === null ? Number.NaN : Number(after);
  const asked = Number.isNaN(seconds) ? Date.parse(after ?? "") - Date.now() : seconds * 1000;
  const waitMs = Number.isNaN(asked) ? firstDelayMs * 2 ** (attempt - 1) : asked;
  return Math.min(Math.max(0, waitMs), maxDelayMs);
}

async function errorOf(response: Response, host: string): Promise<KetlineError> {
  const text = (await response.text()).slice(0, 2000);
  const said = messageOf(text);
  const message = `${host} answered ${response.status}: ${said === "" ? response.statusText : said}`;
  switch (response.status) {
    case 401:
      return unauthenticated(message);
    case 403:
      return forbidden(message);
    case 404:
      return notFound(message);
    case 409:
      return conflict(message);
    default:
      return response.status >= 500 || response.status === 429 ? unavailable(message) : invalid(message);
  }
}

/** Azure's `{error: {code, message}}`; any other text as it is. */
function messageOf(text: string): string {
  try {
    const body: unknown = JSON.parse(text);
    const error = typeof body === "object" && body !== null && "error" in body ? body.error : undefined;
    if (typeof error === "object" && error !== null && "message" in error) return String(error.message);
  } catch {
    // Not JSON: storage answers in XML.
    const xml = /<Code>(.*?)<\/Code>\s*<Message>([\s\S]*?)<\/Message>/.exec(text);
    if (xml !== null) return `${xml[1]}: ${xml[2]}`;
  }
  return text;
}
