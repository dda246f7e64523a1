import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { z } from "zod";
import { invalid, isKetlineError } from "../errors.ts";
import { type DirectCall, parseJson, type RequestHead, readBytes, unstorableAt } from "../http/index.ts";
import { mayBeCamelCase, nameFields } from "./spellings.ts";

/** MLflow refuses larger logging requests (mlflow/utils/validation.py, MAX_BATCH_LOG_REQUEST_SIZE). */
export const maxBatchBytes = 1_000_000;
/** Room for a data set's profile, 16 MiB, and what stands around it. */
const maxBodyBytes = 20 * 1024 ** 2;

/** What a request is read from. */
export type MlflowCall = Pick<DirectCall, "request" | "query" | "params">;

/**
 * Reads a request as MLflow's server does: a GET from its query, or from its body where it has no query, anything else
 * from its body, with the parameters of the path on top. Fields are taken by both of protobuf's spellings. What cannot be
 * read is refused, never answered as if nothing had been sent.
 *
 * @throws invalid in MLflow's words: `Missing value for required parameter 'x'`, `Invalid value 5 for parameter 'x'`.
 */
export async function readRequest<Value>(
  schema: z.ZodType<Value>,
  call: MlflowCall,
  limitBytes = maxBodyBytes,
): Promise<Value> {
  const { fields, hasEscapes, mayBeCamel } = hasQuery(call)
    ? { fields: { ...call.query }, hasEscapes: false, mayBeCamel: true }
    : await readBody(call.request, limitBytes);
  if (mayBeCamel) nameFields(schema, fields);
  const raw = withoutNulls({ ...fields, ...call.params });
  if (!isPresent(raw.run_id) && isPresent(raw.run_uuid)) raw.run_id = raw.run_uuid;
  const parsed = schema.safeParse(raw);
  if (!parsed.success) throw mlflowInvalid(parsed.error, raw);
  // Only an escape can bring such a text into JSON; those of the address are looked at with its encoding.
  if (hasEscapes) refuseUnstorable(raw);
  return parsed.data;
}

function hasQuery({ request, query }: MlflowCall): boolean {
  if (request.method !== "GET" && request.method !== "HEAD") return false;
  for (const _ in query) return true;
  return false;
}

interface Body {
  readonly fields: Record<string, unknown>;
  readonly hasEscapes: boolean;
  readonly mayBeCamel: boolean;
}

const nothing: Body = { fields: {}, hasEscapes: false, mayBeCamel: false };

async function readBody(request: RequestHead, limitBytes: number): Promise<Body> {
  checkContentType(request);
  const bytes = await decoded(request, await readLimited(request, limitBytes), limitBytes);
  if (bytes.byteLength === 0) {
    if (hasUnreadBody(request)) {
      throw invalid(
        "The body of this GET could not be read here; send the parameters in the query of the address.",
      );
    }
    return { ...nothing, fields: {} };
  }
  const text = textOf(bytes);
  const value = jsonOf(text);
  // Old clients encode twice.
  const object = typeof value === "string" ? jsonOf(value) : value;
  if (!isObject(object)) {
    throw invalid(
      text === undefined
        ? "Bad Request. The body is not JSON: it is not text in UTF-8."
        : `Bad Request. The body is not a JSON object: ${JSON.stringify(text.slice(0, 100))}.`,
    );
  }
  return {
    fields: object,
    hasEscapes: text?.includes("\\u") === true,
    mayBeCamel: text !== undefined && (typeof value === "string" || mayBeCamelCase(text)),
  };
}

/** MLflow asks it of POST and PUT alone (mlflow/server/validation.py). */
function checkContentType({ method, headers }: RequestHead): void {
  if (method !== "POST" && method !== "PUT") return;
  const contentType = headers.get("content-type") ?? "";
  if (contentType === "") {
    throw invalid("Bad Request. Content-Type header is missing. Send application/json.");
  }
  if (/\bjson\b/i.test(contentType)) return;
  throw invalid(
    `Bad Request. Content-Type must be one of ['application/json']. It is '${contentType.slice(0, 200)}'.`,
  );
}

/** A body that some way of receiving a GET does not hand on. */
function hasUnreadBody({ method, headers }: RequestHead): boolean {
  if (method !== "GET" && method !== "HEAD") return false;
  return Number(headers.get("content-length") ?? 0) > 0 || headers.get("transfer-encoding") !== null;
}

const inflate = promisify(gunzip);

/** @throws invalid for an encoding that is not taken, and for what is larger than the limit when it is unpacked */
async function decoded(request: RequestHead, bytes: Uint8Array, limitBytes: number): Promise<Uint8Array> {
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (encoding === "identity" || encoding === "" || bytes.byteLength === 0) return bytes;
  if (encoding !== "gzip" && encoding !== "x-gzip") {
    throw invalid(
      `Bad Request. Content-Encoding is '${encoding.slice(0, 100)}'; gzip and identity are taken.`,
    );
  }
  try {
    return await inflate(bytes, { maxOutputLength: limitBytes });
  } catch (error) {
    const isLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    throw invalid(
      isLarge
        ? `The body has more than ${limitBytes} bytes when it is unpacked; at most ${limitBytes} are taken here.`
        : "Bad Request. Content-Encoding is gzip, and the body is not a whole gzip file.",
    );
  }
}

async function readLimited(request: RequestHead, limitBytes: number): Promise<Uint8Array> {
  try {
    return await readBytes(request, limitBytes);
  } catch (error) {
    if (!isKetlineError(error, "too_large")) throw error;
    throw invalid(
      limitBytes === maxBatchBytes
        ? `Batched logging API requests must be at most ${limitBytes} bytes. ${error.message}`
        : error.message,
    );
  }
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** @returns undefined for what is not JSON. @throws invalid for what nests too deep. */
function jsonOf(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : parseJson(text);
  } catch (error) {
    if (isKetlineError(error)) throw error;
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

/** In protobuf's JSON null is "not set". */
function withoutNulls(value: Record<string, unknown>): Record<string, unknown> {
  for (const [key, field] of Object.entries(value)) {
    if (field === null) delete value[key];
    else if (Array.isArray(field)) {
      for (const item of field) if (isObject(item)) withoutNulls(item);
    } else if (isObject(field)) withoutNulls(field);
  }
  return value;
}

/** Both databases refuse alike what PostgreSQL cannot store. */
function refuseUnstorable(value: unknown): void {
  const at = unstorableAt(value);
  if (at === undefined) return;
  throw invalid(
    `Invalid value for parameter '${at}' supplied: it holds the character NUL (U+0000) or half of a surrogate pair.`,
  );
}

const seeDocumentation = " See the API docs for more information about request parameters.";

function mlflowInvalid(error: z.ZodError, raw: unknown) {
  const issue = error.issues[0];
  const path = issue?.path ?? [];
  const name = path.reduce<string>(
    (name, step) =>
      typeof step === "number" ? `${name}[${step}]` : name === "" ? String(step) : `${name}.${String(step)}`,
    "",
  );
  const value = path.reduce<unknown>(
    (at, step) =>
      typeof at === "object" && at !== null ? (at as Record<PropertyKey, unknown>)[step] : undefined,
    raw,
  );
  const message = isPresent(value)
    ? `Invalid value ${JSON.stringify(value).slice(0, 1000)} for parameter '${name}' supplied: ${issue?.message}. Hint: Value was of type '${typeName(value)}'.`
    : `Missing value for required parameter '${name}'.`;
  return invalid(message + seeDocumentation, { field: name });
}

/** MLflow's server names types as Python does. */
function typeName(value: unknown): string {
  if (typeof value === "string") return "str";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  if (typeof value === "boolean") return "bool";
  return Array.isArray(value) ? "list" : "dict";
}
