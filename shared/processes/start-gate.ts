import { type KetlineError, unavailable } from "../errors.ts";

/** Between those who need a process or a thread and one that does not start: tried again in growing pauses. */
export interface StartGate {
  /** Why none starts, in words; undefined when nothing is known to keep one from it. */
  readonly problem: string | undefined;
  /** Whether it is time to try. */
  readonly isOpen: boolean;
  /** @throws unavailable, with when to come back, while it is not time to try */
  admit(): void;
  /** One has started: all is well. */
  started(): void;
  /** One has not; several that were tried at the same time count once. @returns what to tell who needed it */
  failed(why: string, said: string): KetlineError;
}

export interface StartGateOptions {
  /** For messages, e.g. `The process for models`. */
  readonly what: string;
  /** Told what the first one said that did not start; again only after one did. */
  readonly onFailure: (reason: string) => void;
  readonly nowMs?: () => number;
}

const firstPauseMs = 1000;
const maxPauseMs = 60_000;

export function createStartGate({
  what,
  onFailure,
  nowMs = () => performance.now(),
}: StartGateOptions): StartGate {
  let problem: string | undefined;
  let failures = 0;
  let closedUntilMs = Number.NEGATIVE_INFINITY;

  const cannotStart = (): KetlineError =>
    unavailable(`${problem ?? `${what} does not start`}; the server's log has its words.`, {
      fault: "does not start",
      retryAfterSeconds: Math.max(1, Math.ceil((closedUntilMs - nowMs()) / 1000)),
    });

  return {
    get problem() {
      return problem;
    },
    get isOpen() {
      return nowMs() >= closedUntilMs;
    },
    admit() {
      if (nowMs() < closedUntilMs) throw cannotStart();
    },
    started() {
      problem = undefined;
      failures = 0;
      closedUntilMs = Number.NEGATIVE_INFINITY;
    },
    failed(why, said) {
      if (nowMs() >= closedUntilMs) {
        closedUntilMs = nowMs() + Math.min(maxPauseMs, firstPauseMs * 2 ** failures);
        failures++;
        if (problem === undefined)
          onFailure(`${what} does not start (${why}). It said: ${said || "nothing"}`);
        problem = `${what} does not start (${why})`;
      }
      return cannotStart();
    },
  };
}
