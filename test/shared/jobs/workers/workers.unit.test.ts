import { afterAll, describe, expect, it } from "vitest";
import { KetlineError } from "../../../../shared/errors.ts";
import { createWorkerPool } from "../../../../shared/jobs/index.ts";
import type { ArithmeticTask } from "./arithmetic.worker.ts";

const module = new URL("./arithmetic.worker.ts", import.meta.url);
const pool = createWorkerPool({ threads: 2, heapMiB: 64 });
const never = new AbortController().signal;
const run = (task: ArithmeticTask, options: Partial<Parameters<typeof pool.run>[2]> = {}) =>
  pool.run<ArithmeticTask, unknown>(module, task, { signal: never, ...options });

afterAll(() => pool.close());

describe("the worker pool", () => {
  it("runs a module's default export on another thread and returns what it returned", async () => {
    expect(await run({ do: "sum", numbers: Float64Array.of(1, 2, 3.5) })).toBe(6.5);
  });

  it("hands a transferred buffer over without a copy", async () => {
    const numbers = Float64Array.of(4, 5);
    expect(await run({ do: "sum", numbers }, { transfer: [numbers.buffer] })).toBe(9);
    expect(numbers.byteLength).toBe(0);
  });

  it("passes every report on, in order and before the result", async () => {
    const seen: [done: number, message?: string | undefined][] = [];
    const result = await run({ do: "steps", steps: 4 }, { onProgress: (...report) => seen.push(report) });
    expect(result).toBe("done");
    expect(seen).toEqual([
      [0.25, "step 1"],
      [0.5, "step 2"],
      [0.75, "step 3"],
      [1, "step 4"],
    ]);
  });

  it("throws what the worker threw, Ketline's errors with their kind and field", async () => {
    const refused = await run({ do: "refuse" }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(KetlineError);
    expect(refused).toMatchObject({
      kind: "invalid",
      message: 'shots is "many"; it must be a number',
      details: { field: "shots" },
    });
    const broken = await run({ do: "break" }).catch((error: unknown) => error);
    expect(broken).not.toBeInstanceOf(KetlineError);
    expect(broken).toMatchObject({ name: "TypeError", message: "undefined is not a matrix" });
    expect((broken as Error).stack).toContain("arithmetic.worker.ts");
  });

  it("ends a thread that never yields when the signal is aborted, and goes on working", async () => {
    const controller = new AbortController();
    const reason = new Error("nobody waits for it any more");
    const spinning = run(
      { do: "spin" },
      { signal: controller.signal, onProgress: () => controller.abort(reason) },
    );
    await expect(spinning).rejects.toBe(reason);
    expect(await run({ do: "sum", numbers: Float64Array.of(1) })).toBe(1);
  });

  it("does not start work whose signal is aborted already", async () => {
    await expect(run({ do: "spin" }, { signal: AbortSignal.abort(new Error("too late")) })).rejects.toThrow(
      "too late",
    );
  });

  it("fails only the task that used up its thread's memory, saying how much there was", async () => {
    const [hoarding, adding] = await Promise.allSettled([
      run({ do: "hoard" }),
      run({ do: "sum", numbers: Float64Array.of(1) }),
    ]);
    expect(hoarding).toMatchObject({ reason: { kind: "too_large", message: /64 MiB/ } });
    expect(adding).toMatchObject({ value: 1 });
    expect(await run({ do: "sum", numbers: Float64Array.of(2) })).toBe(2);
  });

  it("fails the task of a thread that exits", async () => {
    await expect(run({ do: "exit" })).rejects.toThrow();
    expect(await run({ do: "sum", numbers: Float64Array.of(2) })).toBe(2);
  });

  it("says which module has no default export", async () => {
    const without = new URL("../../../../shared/clock.ts", import.meta.url);
    await expect(pool.run(without, {}, { signal: never })).rejects.toThrow(/clock\.ts has no function/);
  });

  it("takes no more work once it is closed", async () => {
    const closing = createWorkerPool({ threads: 1 });
    await closing.close();
    await expect(closing.run(module, { do: "spin" }, { signal: never })).rejects.toMatchObject({
      kind: "unavailable",
    });
  });
});
