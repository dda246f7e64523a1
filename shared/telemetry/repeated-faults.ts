import { isKetlineError } from "../errors.ts";

const everyMs = 60_000;
/** More different lines than this are told as they come. */
const maxRemembered = 200;

export interface RepeatedFaults {
  /**
   * @param message the line's text
   * @returns whether to log it, and how many of its like were left out since the last one
   */
  admit(message: string, error: unknown): { readonly isTold: boolean; readonly leftOut: number };
}

/**
 * A database that is away, or a full disk, fails every request, every timer and every look into a queue: the first line
 * says what is wrong, and thousands behind it would hide everything else. Lines of one fault with the same text are told
 * once a minute.
 */
export function createRepeatedFaults(now: () => number = () => performance.now()): RepeatedFaults {
  const told = new Map<string, { atMs: number; leftOut: number }>();
  return {
    admit(message, error) {
      const fault = isKetlineError(error) ? error.details.fault : undefined;
      if (fault === undefined) return { isTold: true, leftOut: 0 };
      const key = `${fault} ${message}`;
      const last = told.get(key);
      if (last !== undefined && now() - last.atMs < everyMs) {
        last.leftOut++;
        return { isTold: false, leftOut: 0 };
      }
      if (told.size >= maxRemembered) told.clear();
      told.set(key, { atMs: now(), leftOut: 0 });
      return { isTold: true, leftOut: last?.leftOut ?? 0 };
    },
  };
}
