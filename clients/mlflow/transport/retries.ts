/** How often and after which pauses a call is tried again. */
export interface RetryOptions {
  /** Further attempts after the first; 5 by default. */
  readonly count?: number;
  /** Before the second attempt; doubles with each one, half of it at random. 500 ms by default. */
  readonly firstDelayMs?: number;
  /** Also the most of what `Retry-After` can ask for. 60 s by default. */
  readonly maxDelayMs?: number;
}

export type Wait = (delayMs: number, signal: AbortSignal | undefined) => Promise<void>;

/** Refused before anything was done: safe to send again, whatever the call. */
const refused = new Set([429, 503]);
/** A gateway lost the answer: what was done is not known. */
const lost = new Set([502, 504]);

/** @param idempotent whether doing it twice is doing it once */
export function isWorthRetrying(status: number, idempotent: boolean): boolean {
  return refused.has(status) || (idempotent && lost.has(status));
}

/** Codes of connections that never came about, as Node.js names them: nothing was sent. */
const neverSent = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);

export function wasNeverSent(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ("code" in at && typeof at.code === "string" && neverSent.has(at.code)) return true;
  }
  return false;
}

/** @param attempt that has just failed, from 0 */
export function delayOf(
  attempt: number,
  retryAfter: string | null,
  options: { readonly firstDelayMs: number; readonly maxDelayMs: number },
  random: () => number,
): number {
  const asked = retryAfter === null ? undefined : retryAfterMs(retryAfter);
  if (asked !== undefined) return Math.min(asked, options.maxDelayMs);
  const delay = Math.min(options.firstDelayMs * 2 ** attempt, options.maxDelayMs);
  return delay / 2 + (delay / 2) * random();
}

/** RFC 9110, section 10.2.3: seconds, or a date. */
function retryAfterMs(header: string): number | undefined {
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

/** @throws the signal's reason when it is aborted meanwhile */
export const waitFor: Wait = (delayMs, signal) =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, delayMs);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
