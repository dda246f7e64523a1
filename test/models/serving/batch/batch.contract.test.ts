import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { batchMigrations } from "../../../../models/serving/batch/migrations.ts";
import type { BatchSpec } from "../../../../models/serving/batch/schemas.ts";
import { type BatchStore, batchRow, createBatchStore } from "../../../../models/serving/batch/store.ts";
import type { Database } from "../../../../shared/database/index.ts";
import { databaseCases } from "../../../support/databases.ts";

const spec = (output: string): BatchSpec => ({
  dataset: "flights",
  version: "a".repeat(64),
  columns: null,
  rows: 5_000_000_000,
  keep: ["id"],
  output,
  maxFailedRows: 0,
  chunkRows: 1000,
  model: "late é",
  modelVersion: 3,
  storageLocation: "models:/late",
  deployment: null,
  revision: null,
});

describe.each(databaseCases())("batch predictions on $name", ({ open }) => {
  let database: Database;
  let store: BatchStore;
  beforeEach(async () => {
    database = await open(batchMigrations);
    store = createBatchStore(database);
  });
  afterEach(() => database.close());
  const add = (id: string, createdMs: number, output = "scored") =>
    database.transaction((trx) =>
      store.insert(batchRow(spec(output), { id, createdBy: "ada", createdMs }), trx),
    );

  it("come back as they were written", async () => {
    await add("one", 1);
    expect(await store.get("one")).toEqual(
      batchRow(spec("scored"), { id: "one", createdBy: "ada", createdMs: 1 }),
    );
    expect(await store.get("two")).toBeUndefined();
  });

  it("are listed newest first, page by page, and found by what they gave", async () => {
    for (const [id, createdMs] of [
      ["a", 1],
      ["b", 2],
      ["c", 2],
      ["d", 3],
    ] as const)
      await add(id, createdMs);
    await add("e", 4, "other");
    await store.complete("b", { output_version: "v", failed_rows: 7, profile_job: null });
    const ids = async (...call: Parameters<BatchStore["list"]>) =>
      (await store.list(...call)).map((row) => row.job_id);
    expect(await ids({}, undefined, 3)).toEqual(["e", "d", "c"]);
    expect(await ids({}, { createdMs: 2, id: "c" }, 3)).toEqual(["b", "a"]);
    expect(await ids({ output: "other" }, undefined, 9)).toEqual(["e"]);
    expect(await ids({ output: "scored", outputVersion: "v" }, undefined, 9)).toEqual(["b"]);
    expect(await ids({ model: "late é" }, undefined, 9)).toHaveLength(5);
    expect(await store.get("b")).toMatchObject({ output_version: "v", failed_rows: 7 });
  });

  it("keep each chunk once, in order, until they are deleted", async () => {
    await add("one", 1);
    const chunk = (index: number, failed: number) => ({
      job_id: "one",
      chunk: index,
      blob_key: `serving/batch/one/${index}.parquet`,
      failed_rows: failed,
    });
    for (const index of [10, 2, 0]) await store.addChunk(chunk(index, 0));
    await store.addChunk(chunk(2, 5));
    expect(await store.chunks("one")).toEqual([chunk(0, 0), chunk(2, 0), chunk(10, 0)]);
    await add("two", 1);
    expect(await store.withOldChunks(2, 9)).toEqual(["one"]);
    expect(await store.withOldChunks(1, 9)).toEqual([]);
    await store.deleteChunks("one");
    expect(await store.chunks("one")).toEqual([]);
    expect(await store.withOldChunks(2, 9)).toEqual([]);
  });
});
