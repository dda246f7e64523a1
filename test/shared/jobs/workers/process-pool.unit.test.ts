import { existsSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { createWorkerPool } from "../../../../shared/jobs/index.ts";
import { temporaryDirectory } from "../../../support/temporary-directory.ts";
import type { ArithmeticTask } from "./arithmetic.worker.ts";

const module = new URL("./arithmetic.worker.ts", import.meta.url);
const pool = createWorkerPool({ threads: 2 });
const never = new AbortController().signal;
const run = <Result = unknown>(
  task: ArithmeticTask,
  options: Partial<Parameters<typeof pool.runApart>[2]> = {},
) => pool.runApart<ArithmeticTask, Result>(module, task, { signal: never, ...options });
type Said = { readonly pid: number; readonly environment: readonly string[] };
const say = (words = "") => run<Said>({ do: "say", words });

afterAll(() => pool.close());

describe("work that runs apart", () => {
  it("is done in another process, which is used again", async () => {
    const first = await say();
    expect(first.pid).not.toBe(process.pid);
    expect((await say()).pid).toBe(first.pid);
  });

  it("sees nothing of the server's environment, and no telemetry is asked of its libraries", async () => {
    const { environment } = await say();
    expect(environment).toContain("ORT_DISABLE_TELEMETRY");
    expect(environment).not.toContain("PATH");
    expect(environment.filter((name) => name.startsWith("KETLINE_") || name.startsWith("AZURE_"))).toEqual(
      [],
    );
  });

  it("passes reports on in order and before the result, and typed arrays whole", async () => {
    const seen: (string | undefined)[] = [];
    await run({ do: "steps", steps: 3 }, { onProgress: (_, message) => seen.push(message) });
    expect(seen).toEqual(["step 1", "step 2", "step 3"]);
    expect(await run({ do: "sum", numbers: Float64Array.of(1, 2, 3.5) })).toBe(6.5);
  });

  it("throws what the module threw, Ketline's errors with their kind and field", async () => {
    await expect(run({ do: "refuse" })).rejects.toMatchObject({
      kind: "invalid",
      details: { field: "shots" },
    });
    await expect(run({ do: "break" })).rejects.toMatchObject({ name: "TypeError" });
  });

  it("is ended at once when it is aborted, whatever it is doing", async () => {
    const controller = new AbortController();
    const reason = new Error("nobody waits for it any more");
    const options = { signal: controller.signal, onProgress: () => controller.abort(reason) };
    await expect(run({ do: "spin" }, options)).rejects.toBe(reason);
    expect(await run({ do: "sum", numbers: Float64Array.of(1) })).toBe(1);
  });

  it("leaves the line when it is aborted before its turn", async () => {
    const narrow = createWorkerPool({ threads: 1 });
    try {
      const holding = new AbortController();
      const started = Promise.withResolvers<void>();
      const options = { signal: holding.signal, onProgress: () => started.resolve() };
      const spinning = narrow.runApart(module, { do: "spin" }, options);
      await started.promise;
      const waiting = new AbortController();
      const left = narrow.runApart(module, { do: "exit" }, { signal: waiting.signal });
      const next = narrow.runApart(module, { do: "sum", numbers: Float64Array.of(2) }, { signal: never });
      waiting.abort(new Error("too slow"));
      await expect(left).rejects.toThrow("too slow");
      holding.abort(new Error("enough"));
      await expect(spinning).rejects.toThrow("enough");
      expect(await next).toBe(2);
    } finally {
      await narrow.close();
    }
  });

  it("is done once more in a new process when its process ended", async () => {
    const directory = await temporaryDirectory();
    try {
      const mark = path.join(directory.path, "died");
      expect(await run<number>({ do: "die once", mark })).toBeGreaterThan(0);
      expect(existsSync(mark)).toBe(true);
    } finally {
      await directory.remove();
    }
  });

  it("fails for good when its process ended twice, and its neighbour does not notice", async () => {
    const [ended, adding] = await Promise.allSettled([
      run({ do: "exit" }),
      run({ do: "sum", numbers: Float64Array.of(1) }),
    ]);
    expect(ended).toMatchObject({
      reason: { kind: "unsupported", message: /ended its process twice \(exit code 3\)/ },
    });
    expect(adding).toMatchObject({ value: 1 });
  });

  it("may not take more memory than its limit", async () => {
    const before = process.memoryUsage.rss();
    await expect(run({ do: "allocate" }, { memoryMiB: 300 })).rejects.toMatchObject({
      kind: "too_large",
      message: /300 MiB/,
    });
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 ** 2);
  });

  it("is refused once the pool is closed, and ended by it", async () => {
    const closing = createWorkerPool({ threads: 1 });
    const started = Promise.withResolvers<void>();
    const spinning = closing.runApart(
      module,
      { do: "spin" },
      { signal: never, onProgress: () => started.resolve() },
    );
    await started.promise;
    const [outcome] = await Promise.allSettled([spinning, closing.close()]);
    expect(outcome).toMatchObject({ reason: { kind: "unavailable" } });
    await expect(closing.runApart(module, {}, { signal: never })).rejects.toMatchObject({
      kind: "unavailable",
    });
  });
});
