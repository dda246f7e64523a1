import type { TryOutcome } from "./delivery-store.ts";
import type { Sent } from "./sending.ts";

/** With the pauses below, a receiver may be away for about three hours before an event is given up. */
export const triesPerDelivery = 12;
const firstPauseMs = 10_000;
const maxPauseMs = 3600_000;

/**
 * The pause after a failed try: it doubles, up to an hour, and half of it is random, so that what failed together does
 * not come back together (AWS Architecture Blog, "Exponential Backoff And Jitter", equal jitter).
 *
 * @param tries how often it was sent so far, from 1
 * @param random from 0 up to, not including, 1
 */
export function pauseMs(tries: number, random: number): number {
  const longest = Math.min(maxPauseMs, firstPauseMs * 2 ** (tries - 1));
  return Math.round(longest / 2 + (longest / 2) * random);
}

/** What one try means for its delivery: done, another try later, or given up. */
export function outcomeOf(
  sent: Exclude<Sent, { kind: "interrupted" }>,
  delivery: { readonly tries: number; readonly tries_left: number },
  nowMs: number,
  random: number,
): TryOutcome {
  if (sent.kind === "refused") return { state: "failed", responseStatus: null, error: sent.error };
  const responseStatus = sent.kind === "answered" ? sent.status : null;
  if (responseStatus !== null && isSuccess(responseStatus)) return { state: "delivered", responseStatus };
  const error = sent.kind === "answered" ? complaintOf(sent.status, sent.body) : sent.error;
  const mayHelp = responseStatus === null || responseStatus === 429 || responseStatus >= 500;
  if (!mayHelp || delivery.tries_left <= 1) return { state: "failed", responseStatus, error };
  const asked = sent.kind === "answered" ? retryAfterMs(sent.retryAfter, nowMs) : 0;
  const wait = Math.max(asked, pauseMs(delivery.tries + 1, random));
  return { state: "pending", responseStatus, error, dueMs: nowMs + wait };
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Why an answer is no success, with how it begins. */
export function complaintOf(status: number, body: string): string {
  const redirect = status >= 300 && status < 400 ? " Redirects are not followed; give the final URL." : "";
  const says = body.trim() === "" ? "" : ` It says: ${body.trim().slice(0, 300)}`;
  return `The receiver answered ${status}.${redirect}${says}`;
}

/** `Retry-After` as seconds or a date (RFC 9110, 10.2.3), up to an hour. */
function retryAfterMs(header: string | undefined, nowMs: number): number {
  if (header === undefined) return 0;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? 0 : Math.min(maxPauseMs, Math.max(0, ms));
}
