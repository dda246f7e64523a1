import { invalid } from "../errors.ts";

export const poisonSuffix = "-poison";

/** How often a message is handed out before it is put aside, when the caller does not say. Azure Functions' default. */
export const defaultMaxAttempts = 5;

const maxBodyBytes = 48 * 1024;

/**
 * Azure's rule for queue names, with room for `-poison`; every queue keeps to it, so that a name that works in one works
 * in the other.
 *
 * @throws invalid naming the queue
 */
export function checkQueueName(queue: string): void {
  if (/^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/.test(queue) && poisonOf(queue).length <= 63) return;
  throw invalid(
    `The queue name "${queue.slice(0, 100)}" is wrong: 3 to 56 lower-case letters and digits, with single hyphens between them.`,
  );
}

/** @throws invalid for a body that Azure Storage would not take: 64 KiB, of which base64 needs a third */
export function checkBody(body: string): void {
  const bytes = Buffer.byteLength(body);
  if (bytes <= maxBodyBytes) return;
  throw invalid(
    `The message has ${bytes} bytes; at most ${maxBodyBytes} fit. Send an id and keep the data in a blob.`,
  );
}

/** @throws invalid for numbers that Azure Storage would not take */
export function checkReceive(options: { readonly max: number; readonly visibilityMs: number }): void {
  const { max, visibilityMs } = options;
  if (!Number.isInteger(max) || max < 1 || max > 32) {
    throw invalid(`max is ${max}; one receive takes 1 to 32 messages.`);
  }
  checkDuration("visibilityMs", visibilityMs, 1);
}

/** @throws invalid outside of `leastMs` to seven days */
export function checkDuration(name: string, ms: number, leastMs = 0): void {
  if (Number.isFinite(ms) && ms >= leastMs && ms <= 7 * 86_400_000) return;
  throw invalid(`${name} is ${ms}; it lies between ${leastMs} and 604800000 (seven days).`);
}

/** Where messages go that no worker could handle; they stay there, so it has none of its own. */
export function poisonOf(queue: string): string {
  return queue.endsWith(poisonSuffix) ? queue : `${queue}${poisonSuffix}`;
}
