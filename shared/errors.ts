/**
 * The errors of the whole application, by meaning. Code throws these; each protocol maps them once
 * (see `shared/http/protocols.ts`). A message says what was wrong, with which value, and what would be right.
 */
export type ErrorKind =
  | "invalid"
  | "unauthenticated"
  | "forbidden"
  | "not_found"
  | "method_not_allowed"
  | "conflict"
  | "precondition_failed"
  | "too_large"
  | "unsupported"
  | "unavailable"
  | "insufficient"
  | "timeout";

/** Mistakes in the request: they say nothing about what it was sent to. */
export const callersFaults: ReadonlySet<string> = new Set<ErrorKind>([
  "invalid",
  "not_found",
  "method_not_allowed",
  "too_large",
  "unsupported",
  "precondition_failed",
  "conflict",
]);

export interface ErrorDetails {
  /** The part of the request at fault, as the caller wrote it, e.g. `inputs[0].shape`. */
  readonly field?: string;
  /** A code of one protocol that says more than the kind, e.g. MLflow's `RESOURCE_ALREADY_EXISTS`. */
  readonly code?: string;
  /** Seconds after which the same request may succeed. */
  readonly retryAfterSeconds?: number;
  /**
   * Names what is away beneath the server, e.g. `SQLITE_FULL` or `ECONNREFUSED`, where it is that and not the request.
   * Every request and every timer meets it, so the log tells of it once a minute.
   */
  readonly fault?: string;
  /** Headers of the answer, whatever its protocol. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the error's body, where the protocol has room for them. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export class KetlineError extends Error {
  readonly kind: ErrorKind;
  readonly details: ErrorDetails;

  constructor(kind: ErrorKind, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "KetlineError";
    this.kind = kind;
    this.details = details;
  }
}

/** The same error with further headers. */
export function withHeaders(error: KetlineError, headers: Readonly<Record<string, string>>): KetlineError {
  return new KetlineError(error.kind, error.message, {
    cause: error,
    ...error.details,
    headers: { ...error.details.headers, ...headers },
  });
}

type Thrower = (message: string, details?: ErrorDetails) => KetlineError;
const of =
  (kind: ErrorKind): Thrower =>
  (message, details) =>
    new KetlineError(kind, message, details);

/** The request is wrong in itself; sending it again cannot help. */
export const invalid = of("invalid");
/** Nobody is known behind the request, or the credential is not good. */
export const unauthenticated = of("unauthenticated");
/** The caller is known and may not do this. */
export const forbidden = of("forbidden");
export const notFound = of("not_found");
/** The path is there and has no such method; its header `Allow` names those that it has. */
export const methodNotAllowed = of("method_not_allowed");
/** The request contradicts what is stored: it exists already, or its state does not allow this. */
export const conflict = of("conflict");
/** The caller's `If-Match` or expected revision is not the current one. */
export const preconditionFailed = of("precondition_failed");
export const tooLarge = of("too_large");
/** The thing is understood and this server does not do it. */
export const unsupported = of("unsupported");
/** Something the server needs is not there now; sending the request again later may help. */
export const unavailable = of("unavailable");
/** The server has no room left for this: its disk is full, or what the request needs exceeds its memory. */
export const insufficient = of("insufficient");
export const timedOut = of("timeout");

const finalKinds: ReadonlySet<ErrorKind> = new Set<ErrorKind>([
  "invalid",
  "not_found",
  "conflict",
  "forbidden",
  "unauthenticated",
  "unsupported",
  "too_large",
]);

/** Whether the same attempt would meet the same error again, so that nothing tries once more. */
export function isFinal(error: unknown): error is KetlineError {
  return isKetlineError(error) && finalKinds.has(error.kind);
}

/** What the server stands on is away, such as its database: the same attempt may find it there the next time. */
export function isMachinesFault(error: unknown): boolean {
  return isKetlineError(error, "unavailable") && error.details.fault !== undefined;
}

export function isKetlineError(error: unknown, kind?: ErrorKind): error is KetlineError {
  return error instanceof KetlineError && (kind === undefined || error.kind === kind);
}
