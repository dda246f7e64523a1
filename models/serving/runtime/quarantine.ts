import type { Clock } from "../../../shared/clock.ts";
import { type KetlineError, unavailable } from "../../../shared/errors.ts";
import { BoundedMap } from "./bounded-map.ts";

/** Keeps apart what harms: models that ended their process, and for a moment those that cannot be loaded. */
export interface Quarantine {
  /** A process ended, or ran out of memory, while it worked on this model. */
  strike(key: string, error: KetlineError): void;
  /** Loading failed in a way that will not change by itself: the same answer for a while, without trying. */
  refuse(key: string, error: KetlineError): void;
  /** @throws what stands against using this model now */
  check(key: string): void;
  problem(key: string): string | undefined;
}

/** One lost process may be bad luck; from the second on the model is the suspect. */
const strikesAllowed = 1;
const strikeMemoryMs = 10 * 60_000;
const firstPauseMs = 30_000;
const maxPauseMs = 15 * 60_000;
const refusalMs = 10_000;
/** How many are remembered. */
export const maxRefused = 5000;

interface Suspect {
  strikes: number;
  lastMs: number;
  untilMs: number;
  error: KetlineError | undefined;
}

export function createQuarantine(clock: Clock): Quarantine {
  const suspects = new BoundedMap<string, Suspect>(maxRefused);
  const standing = (key: string): KetlineError | undefined => {
    const suspect = suspects.get(key);
    if (suspect?.error === undefined) return undefined;
    const leftMs = suspect.untilMs - clock();
    if (leftMs <= 0) return undefined;
    if (suspect.error.kind !== "unavailable") return suspect.error;
    return unavailable(suspect.error.message, { retryAfterSeconds: Math.ceil(leftMs / 1000) });
  };
  return {
    strike(key, { message: reason }) {
      const nowMs = clock();
      const before = suspects.get(key);
      const recent = before !== undefined && nowMs - before.lastMs < strikeMemoryMs ? before.strikes : 0;
      const strikes = recent + 1;
      const pauseMs = Math.min(maxPauseMs, firstPauseMs * 2 ** (strikes - strikesAllowed - 1));
      suspects.set(key, {
        strikes,
        lastMs: nowMs,
        untilMs: strikes > strikesAllowed ? nowMs + pauseMs : 0,
        error: unavailable(
          `The model is unhealthy: ${strikes} times within minutes its process had to end, or had no memory left. ${reason}`,
        ),
      });
    },
    refuse(key, error) {
      const { strikes, lastMs, untilMs } = suspects.get(key) ?? { strikes: 0, lastMs: clock(), untilMs: 0 };
      suspects.set(key, { strikes, lastMs, untilMs: Math.max(untilMs, clock() + refusalMs), error });
    },
    check(key) {
      const error = standing(key);
      if (error !== undefined) throw error;
    },
    problem: (key) => standing(key)?.message,
  };
}
