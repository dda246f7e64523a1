import { describe, expect, it } from "vitest";
import type { KetlineError } from "../../../../shared/errors.ts";
import { createWorkerPool, type WorkerPool } from "../../../../shared/jobs/index.ts";
import { createStartGate } from "../../../../shared/processes/index.ts";
import type { ArithmeticTask } from "./arithmetic.worker.ts";

const module = new URL("./arithmetic.worker.ts", import.meta.url);
const signal = new AbortController().signal;
const task: ArithmeticTask = { do: "sum", numbers: Float64Array.of(1, 2) };
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable(),
    (error: KetlineError) => error,
  );
const tooLittle = 8;

/** Threads that load what cannot be loaded, and processes with less memory than Node.js itself needs. */
const ways = [
  {
    what: "threads",
    says: /The worker thread does not start/,
    run: (pool: WorkerPool) => pool.run(module, task, { signal }),
    words: /It said: .*Cannot find module/,
  },
  {
    what: "processes",
    says: /The process for work on strangers' data does not start/,
    run: (pool: WorkerPool) => pool.runApart(module, task, { signal, memoryMiB: tooLittle }),
    words: /It said: (?!nothing)./,
  },
] as const;

describe.each(ways)("a pool whose $what do not start", ({ says, run, words }) => {
  it("says so to all who wait, with when to come back, logs the words once, and starts none in between", async () => {
    let nowMs = 0;
    const reasons: string[] = [];
    const pool = createWorkerPool({
      threads: 2,
      entry: new URL("./not-there.ts", import.meta.url),
      nowMs: () => nowMs,
      onStartFailure: (reason) => reasons.push(reason),
    });
    try {
      const together = await Promise.all([run(pool), run(pool), run(pool)].map(refusal));
      for (const { kind, message, details } of [...together, await refusal(run(pool))]) {
        expect({ kind, message }).toEqual({ kind: "unavailable", message: expect.stringMatching(says) });
        expect(details).toMatchObject({ retryAfterSeconds: 1, fault: "does not start" });
      }
      expect(pool.problem()).toMatch(says);
      nowMs = 1000;
      expect((await refusal(run(pool))).details.retryAfterSeconds).toBe(2);
      nowMs = 3000;
      expect((await refusal(run(pool))).details.retryAfterSeconds).toBe(4);
      expect(reasons).toEqual([expect.stringMatching(words)]);
    } finally {
      await pool.close();
    }
  });
});

describe("a pool whose processes start again", () => {
  it("is well as soon as somebody asks how it is, though nobody has work for it", async () => {
    let nowMs = 0;
    const pool = createWorkerPool({ threads: 1, nowMs: () => nowMs });
    try {
      await refusal(pool.runApart(module, task, { signal, memoryMiB: tooLittle }));
      expect(pool.problem()).toBeDefined();
      nowMs = 1000;
      while (pool.problem() !== undefined) await new Promise(setImmediate);
      expect(await pool.runApart(module, task, { signal })).toBe(3);
    } finally {
      await pool.close();
    }
  });
});

describe("the gate before what does not start", () => {
  it("closes for a time that doubles up to a minute, and opens at once when one has started", () => {
    let nowMs = 0;
    const reasons: string[] = [];
    const gate = createStartGate({
      what: "It",
      onFailure: (reason) => reasons.push(reason),
      nowMs: () => nowMs,
    });
    const pauses: number[] = [];
    for (let failure = 0; failure < 9; failure++) {
      gate.failed("exit code 9", "bad option");
      // Others that were tried at the same time.
      gate.failed("exit code 9", "bad option");
      let pauseMs = 0;
      while (!gate.isOpen) {
        nowMs += 500;
        pauseMs += 500;
      }
      pauses.push(pauseMs / 1000);
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
    gate.failed("exit code 9", "bad option");
    expect(() => gate.admit()).toThrow("It does not start (exit code 9); the server's log has its words.");
    gate.started();
    expect(() => gate.admit()).not.toThrow();
    expect(gate.problem).toBeUndefined();
    gate.failed("signal SIGKILL", "");
    expect(reasons).toEqual([
      "It does not start (exit code 9). It said: bad option",
      "It does not start (signal SIGKILL). It said: nothing",
    ]);
  });
});
