/**
 * What a server refused, or why it could not be asked.
 *
 * `code` is MLflow's (`RESOURCE_DOES_NOT_EXIST`), Azure's (`UserError`), or one of these, which no server sends:
 *
 * | code | means |
 * |---|---|
 * | `ENDPOINT_NOT_FOUND` | the server does not know the call (an older MLflow, Azure ML, or no MLflow server at all) |
 * | `UNREACHABLE` | no answer arrived: no connection, or one that broke |
 * | `TIMEOUT` | nothing moved for `timeoutMs` |
 * | `INVALID_RESPONSE` | an answer that is not what MLflow's API describes |
 * | `NOT_PROXIED` | the server does not serve the files behind an artifact URI |
 */
export class MlflowError extends Error {
  readonly code: string;
  /** The HTTP status; 0 when no answer arrived. */
  readonly status: number;
  /** What was asked: `POST runs/create`. */
  readonly call: string;

  constructor(code: string, status: number, call: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "MlflowError";
    this.code = code;
    this.status = status;
    this.call = call;
  }
}

export function isMlflowError(error: unknown, ...codes: readonly string[]): error is MlflowError {
  return error instanceof MlflowError && (codes.length === 0 || codes.includes(error.code));
}

/** Whether the server knows the call and has no such thing. */
export function isMissing(error: unknown): error is MlflowError {
  return error instanceof MlflowError && error.status === 404 && error.code !== "ENDPOINT_NOT_FOUND";
}

/** Reads an answer that is not 2xx, in any of the shapes that servers of MLflow's API and proxies before them send. */
export function errorFrom(status: number, text: string, call: string, base: string): MlflowError {
  const body = parsed(text);
  const azure = record(body?.error);
  const code = word(body?.error_code) ?? word(azure?.code) ?? word(body?.code);
  const message =
    word(body?.message) ??
    word(azure?.message) ??
    word(body?.detail) ??
    word(body?.title) ??
    word(body?.error);
  if (code === undefined && (status === 404 || status === 405)) {
    const said = message === undefined ? "" : ` It said: ${message}`;
    return new MlflowError(
      "ENDPOINT_NOT_FOUND",
      status,
      call,
      `The server at ${base} does not know the call ${call}: it may be older than this call, or no MLflow server.${said}`,
    );
  }
  const plain = message ?? (text.trim().startsWith("<") ? "" : text.trim().slice(0, 500));
  return new MlflowError(
    code ?? codeOf(status),
    status,
    call,
    plain === "" ? `The server at ${base} answered ${call} with ${status} and no message.` : plain,
  );
}

function codeOf(status: number): string {
  switch (status) {
    case 400:
      return "BAD_REQUEST";
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 409:
      return "RESOURCE_CONFLICT";
    case 429:
      return "REQUEST_LIMIT_EXCEEDED";
    case 501:
      return "NOT_IMPLEMENTED";
    case 503:
      return "TEMPORARILY_UNAVAILABLE";
    case 504:
      return "DEADLINE_EXCEEDED";
    default:
      return status >= 500 ? "INTERNAL_ERROR" : "BAD_REQUEST";
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return record(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : undefined;
}

function word(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
