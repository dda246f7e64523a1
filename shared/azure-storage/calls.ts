import { isKetlineError, unavailable } from "../errors.ts";

/** Four tries within some ten seconds: enough for a server that moves, short enough for a caller who waits. */
export const retryOptions = { maxTries: 4, retryDelayInMs: 500, maxRetryDelayInMs: 5_000 };

/** For calls that carry no more than a page of metadata; with its retries. */
export const shortCallMs = 30_000;

/**
 * Makes one call to Azure Storage. The SDK's own time limits are only asked of the server, so each call gets a signal
 * that ends it here.
 *
 * @param service for the message, e.g. `Azure Blob Storage`
 * @throws unavailable when it does not answer in time, is not reached, or refuses us; what the caller can understand
 *   (400, 404, 409, 412, 416) is passed on for `isStatus`
 */
export async function callStorage<Result>(
  service: string,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  call: (abortSignal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { timeoutMs, signal } = options;
  signal?.throwIfAborted();
  // Not AbortSignal.timeout: a download goes on under this signal after the call has returned.
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), timeoutMs);
  try {
    return await call(signal === undefined ? timeout.signal : AbortSignal.any([signal, timeout.signal]));
  } catch (error) {
    signal?.throwIfAborted();
    if (timeout.signal.aborted) {
      throw unavailable(`${service} did not answer within ${timeoutMs / 1000} s.`, {
        cause: error,
        retryAfterSeconds: 5,
      });
    }
    throw understood(service, error);
  } finally {
    clearTimeout(timer);
  }
}

export function isStatus(error: unknown, ...statuses: readonly number[]): boolean {
  const status = statusOf(error);
  return status !== undefined && statuses.includes(status);
}

/** Azure's own name for what went wrong, e.g. `BlobNotFound`. */
export function codeOfStorage(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && "statusCode" in error && typeof error.statusCode === "number"
    ? error.statusCode
    : undefined;
}

function understood(service: string, error: unknown): unknown {
  if (isKetlineError(error) || isStatus(error, 400, 404, 409, 412, 413, 416)) return error;
  const status = statusOf(error);
  const why = [status, codeOfStorage(error)].filter((part) => part !== undefined && part !== "").join(" ");
  const remedy =
    status === 401 || status === 403
      ? " The identity of this server needs the roles Storage Blob Data Contributor and Storage Queue Data Contributor."
      : "";
  return unavailable(`${service} could not be used${why === "" ? "" : ` (${why})`}.${remedy}`, {
    cause: error,
    retryAfterSeconds: 5,
  });
}
