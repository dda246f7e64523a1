import type { z } from "zod";
import { invalid, isKetlineError } from "../errors.ts";
import { type DirectCall, parseJson, type RequestHead, readBytes, unstorableAt } from "../http/index.ts";

/** MLflow refuses larger logging requests (mlflow/utils/validation.py, MAX_BATCH_LOG_REQUEST_SIZE). */
export const maxBatchBytes = 1_000_000;
/** Room for a data set's profile, 16 MiB, and what stands around it. */
const maxBodyBytes = 20 * 1024 ** 2;

/** What a request is read from. */
export type MlflowCall = Pick<DirectCall, "request" | "query" | "params">;

/**
 * Reads a request as MLflow's server does: a GET from its query, anything else from its body, with the parameters of
 * the path on top. A body that is not JSON, or is not declared as JSON, counts as empty, so that the answer names what
 * is missing; unlike MLflow's, it then says why.
 *
 * @throws invalid in MLflow's words: `Missing value for required parameter 'x'`, `Invalid value 5 for parameter 'x'`.
 */
export async function readRequest<Value>(
  schema: z.ZodType<Value>,
  call: MlflowCall,
  limitBytes = maxBodyBytes,
): Promise<Value> {
  const isQuery = call.request.method === "GET" || call.request.method === "HEAD";
  const { fields, note, hasEscapes } = isQuery
    ? { fields: { ...call.query }, note: "", hasEscapes: false }
    : await readBody(call, limitBytes);
  const raw = withoutNulls({ ...fields, ...call.params });
  if (!isPresent(raw.run_id) && isPresent(raw.run_uuid)) raw.run_id = raw.run_uuid;
  const parsed = schema.safeParse(raw);
  if (!parsed.success) throw mlflowInvalid(parsed.error, raw, note);
  // Only an escape can bring such a text into JSON; those of the address are looked at with its encoding.
  if (hasEscapes) refuseUnstorable(raw);
  return parsed.data;
}

interface Body {
  readonly fields: Record<string, unknown>;
  /** Why the body counts as empty, if it does. */
  readonly note: string;
  readonly hasEscapes: boolean;
}

const nothing: Body = { fields: {}, note: "", hasEscapes: false };

async function readBody(call: MlflowCall, limitBytes: number): Promise<Body> {
  const bytes = await readLimited(call.request, limitBytes);
  if (bytes.byteLength === 0) return nothing;
  const contentType = call.request.headers.get("content-type") ?? "";
  if (!/\bjson\b/i.test(contentType)) {
    const was = contentType === "" ? "it has no Content-Type" : `its Content-Type is '${contentType}'`;
    return { ...nothing, note: ` The body was not read: ${was}; send application/json.` };
  }
  const text = textOf(bytes);
  const value = jsonOf(text);
  // Old clients encode twice.
  const object = typeof value === "string" ? jsonOf(value) : value;
  if (!isObject(object)) return { ...nothing, note: " The body was not read: it is not a JSON object." };
  return { fields: object, note: "", hasEscapes: text?.includes("\\u") === true };
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

function mlflowInvalid(error: z.ZodError, raw: unknown, note: string) {
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
  return invalid(message + seeDocumentation + note, { field: name });
}

/** MLflow's server names types as Python does. */
function typeName(value: unknown): string {
  if (typeof value === "string") return "str";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  if (typeof value === "boolean") return "bool";
  return Array.isArray(value) ? "list" : "dict";
}
