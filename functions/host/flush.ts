import type { Platform } from "../../platform.ts";

interface Flushes {
  readonly running: Promise<void>;
  next: Promise<void> | undefined;
}

const flushes = new WeakMap<Platform, Flushes>();

/**
 * Writes out what is buffered, before the host may freeze or stop this instance. Invocations that end while a flush
 * runs share the next one, so a busy instance writes one block per flush, not one per request. What cannot be written
 * stays buffered; the answer of the invocation does not depend on it.
 */
export function flushCoalesced(platform: Platform): Promise<void> {
  const current = flushes.get(platform);
  if (current === undefined) return begin(platform);
  current.next ??= current.running.then(() => begin(platform));
  return current.next;
}

function begin(platform: Platform): Promise<void> {
  const running = platform
    .flush()
    .catch((error: unknown) => platform.logger.warn({ err: error }, "captured data could not be written yet"))
    .then(() => {
      if (flushes.get(platform)?.running === running && flushes.get(platform)?.next === undefined) {
        flushes.delete(platform);
      }
    });
  flushes.set(platform, { running, next: undefined });
  return running;
}
