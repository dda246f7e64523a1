import { type ErrorKind, isKetlineError, type KetlineError } from "../errors.ts";
import type { Protocol } from "./route.ts";

/** How an error looks on the wire. */
export interface ErrorReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

const statusOf: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  precondition_failed: 412,
  too_large: 413,
  unsupported: 501,
  unavailable: 503,
  insufficient: 507,
  timeout: 504,
};

/** RFC 9457 titles. */
const titleOf: Readonly<Record<ErrorKind, string>> = {
  invalid: "The request is not valid",
  unauthenticated: "Sign in first",
  forbidden: "Not allowed",
  not_found: "Not found",
  method_not_allowed: "Not with this method",
  conflict: "Conflict with what is stored",
  precondition_failed: "Somebody else changed it first",
  too_large: "Too large",
  unsupported: "Not supported",
  unavailable: "Not available now",
  insufficient: "No room left",
  timeout: "Took too long",
};

/**
 * MLflow's error codes and their status (mlflow/protos/databricks.proto). The stock client retries 408, 429 and 5xx for
 * minutes, so a caller's mistake must be another 4xx; an existing name is 400 there.
 */
const mlflowOf: Readonly<Record<ErrorKind, readonly [status: number, code: string]>> = {
  invalid: [400, "INVALID_PARAMETER_VALUE"],
  unauthenticated: [401, "UNAUTHENTICATED"],
  forbidden: [403, "PERMISSION_DENIED"],
  not_found: [404, "RESOURCE_DOES_NOT_EXIST"],
  // The code at which the stock client tries its next way to do the same.
  method_not_allowed: [405, "ENDPOINT_NOT_FOUND"],
  conflict: [400, "RESOURCE_ALREADY_EXISTS"],
  precondition_failed: [409, "RESOURCE_CONFLICT"],
  too_large: [413, "INVALID_PARAMETER_VALUE"],
  unsupported: [501, "NOT_IMPLEMENTED"],
  unavailable: [503, "TEMPORARILY_UNAVAILABLE"],
  insufficient: [507, "RESOURCE_EXHAUSTED"],
  timeout: [504, "DEADLINE_EXCEEDED"],
};

/** Azure's usual codes, as the quantum data plane writes them. */
const azureOf: Readonly<Record<ErrorKind, string>> = {
  invalid: "InvalidRequest",
  unauthenticated: "Unauthorized",
  forbidden: "Forbidden",
  not_found: "ResourceNotFound",
  method_not_allowed: "MethodNotAllowed",
  conflict: "Conflict",
  precondition_failed: "PreconditionFailed",
  too_large: "RequestTooLarge",
  unsupported: "NotSupported",
  unavailable: "ServiceUnavailable",
  insufficient: "InsufficientStorage",
  timeout: "GatewayTimeout",
};

/** The one place where errors become answers. An error that is not Ketline's own tells the caller nothing but its id. */
export function errorReply(protocol: Protocol, error: unknown, requestId: string): ErrorReply {
  if (isKetlineError(error)) return knownError(protocol, error);
  const message = `Ketline failed to answer this request; its log says why under request id ${requestId}.`;
  const bodies: Record<Protocol, unknown> = {
    ketline: { type: "about:blank", title: "Internal error", status: 500, detail: message },
    mlflow: { error_code: "INTERNAL_ERROR", message },
    inference: { error: message },
    scoring: { error_code: "INTERNAL_ERROR", message },
    quantum: { error: { code: "InternalServerError", message } },
  };
  return reply(protocol, 500, bodies[protocol], {});
}

function knownError(protocol: Protocol, error: KetlineError): ErrorReply {
  const { kind, message, details } = error;
  const headers: Record<string, string> = { ...details.headers };
  if (details.retryAfterSeconds !== undefined) headers["retry-after"] = String(details.retryAfterSeconds);
  if (kind === "unauthenticated")
    headers["www-authenticate"] = 'Basic realm="Ketline", Bearer realm="Ketline"';
  switch (protocol) {
    case "mlflow": {
      const [usual, code] = mlflowOf[kind];
      // What may not be changed is 409; only a name that exists already is 400 there.
      const status = details.code === "RESOURCE_CONFLICT" ? 409 : usual;
      return reply(protocol, status, { error_code: details.code ?? code, message }, headers);
    }
    case "inference":
      return reply(protocol, statusOf[kind], { error: message }, headers);
    case "scoring":
      return reply(
        protocol,
        statusOf[kind],
        { error_code: kind === "invalid" ? "BAD_REQUEST" : mlflowOf[kind][1], message },
        headers,
      );
    case "quantum":
      return reply(
        protocol,
        statusOf[kind],
        { error: { code: details.code ?? azureOf[kind], message } },
        headers,
      );
    case "ketline": {
      const status = statusOf[kind];
      const field = details.field === undefined ? {} : { field: details.field };
      const body = {
        type: "about:blank",
        title: titleOf[kind],
        status,
        detail: message,
        ...field,
        ...details.members,
      };
      return reply(protocol, status, body, headers);
    }
  }
}

function reply(
  protocol: Protocol,
  status: number,
  body: unknown,
  headers: Record<string, string>,
): ErrorReply {
  return {
    status,
    body,
    headers,
    contentType: protocol === "ketline" ? "application/problem+json" : "application/json",
  };
}

/** The protocol of a path that no route answers, so that even then the client understands the error. */
export function protocolOfPath(path: string): Protocol {
  if (/^\/(ajax-)?api\/[23]\.0\//.test(path)) return "mlflow";
  if (path === "/v2" || path.startsWith("/v2/")) return "inference";
  if (path.startsWith("/serving/")) return "scoring";
  if (/^\/subscriptions\//i.test(path)) return "quantum";
  return "ketline";
}
