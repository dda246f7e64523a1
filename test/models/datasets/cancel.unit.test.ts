import { describe, expect, it } from "vitest";
import type { ProfileResult, ProfileTask } from "../../../models/datasets/profiling/profile.worker.ts";
import { createWorkerPool } from "../../../shared/jobs/index.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import { flightsFile } from "../../support/flights.ts";

describe("a profile that is cancelled", () => {
  it("ends in the middle of DuckDB's work and leaves room for the next one", async () => {
    const workers = createWorkerPool({ threads: 1 });
    const profile = (signal: AbortSignal, onProgress: (done: number) => void) =>
      inScratchDirectory((scratchDirectory) =>
        workers.runApart<ProfileTask, ProfileResult>(
          new URL("../../../models/datasets/profiling/profile.worker.ts", import.meta.url),
          {
            source: { file: flightsFile, format: "parquet", options: {}, maxBytes: 10_000_000 },
            expectations: [],
            scratchDirectory,
          },
          { signal, onProgress },
        ),
      );
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    await expect(profile(controller.signal, () => controller.abort(reason))).rejects.toBe(reason);
    expect((await profile(new AbortController().signal, () => {})).rows).toBe(3_000_000);
    await workers.close();
  });
});
