import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { datasetMigrations } from "../../../models/datasets/index.ts";
import { createDatasetStore } from "../../../models/datasets/store.ts";
import { trainingMigrations } from "../../../models/training/index.ts";
import { createTrainingStore } from "../../../models/training/store.ts";
import type { Database } from "../../../shared/database/index.ts";
import { databaseCases } from "../../support/databases.ts";

describe.each(databaseCases())("the stores of data sets and trainings on $name", ({ open }) => {
  let database: Database;
  beforeAll(async () => {
    database = await open([...datasetMigrations, ...trainingMigrations]);
  });
  afterAll(() => database.close());

  const versionOf = (letter: string) => letter.repeat(64);
  const addDataset = (name: string) =>
    createDatasetStore(database).insertDataset({
      name,
      description: "",
      expectations: "[]",
      revision: 1,
      created_by: "somebody",
      created_ms: 1,
      updated_ms: 1,
    });
  const addVersion = (dataset: string, letter: string) =>
    createDatasetStore(database).insertVersion({
      dataset,
      version: versionOf(letter),
      format: "csv",
      options: {},
      sizeBytes: 5_000_000_000,
      blobKey: `datasets/${dataset}/${letter}.csv`,
      createdBy: "somebody",
      nowMs: 1_700_000_000_000,
    });

  it("number versions without a gap when several writers come at once, and equal content once", async () => {
    expect(await addDataset("raced")).toBe(true);
    expect(await addDataset("raced")).toBe(false);
    const rows = await Promise.all([..."abcdefabcdef"].map((letter) => addVersion("raced", letter)));
    const numbers = new Map(rows.map((row) => [row.version, row.number]));
    expect([...numbers.values()].toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(rows[0]?.number).toBe(rows[6]?.number);
    expect(rows[0]?.size_bytes).toBe(5_000_000_000);
  });

  it("find versions by prefix, state and number", async () => {
    const store = createDatasetStore(database);
    await addDataset("found");
    for (const letter of "ab") await addVersion("found", letter);
    const first = await store.getVersion("found", versionOf("a"));
    expect(await store.recordFindings(first!, { state: "ready", row_count: 3 })).toBe("first");
    expect((await store.getVersionsByPrefix("found", "aaaaaaaa")).map(({ number }) => number)).toEqual([1]);
    expect(await store.getVersionsByPrefix("found", "aaaaaaab")).toEqual([]);
    expect(await store.getLatestReady("found")).toMatchObject({ number: 1, row_count: 3 });
    expect((await store.listVersions("found", undefined, undefined, 9)).map(({ number }) => number)).toEqual([
      2, 1,
    ]);
    expect((await store.listVersions("found", undefined, 2, 9)).map(({ number }) => number)).toEqual([1]);
    expect((await store.listVersions("found", "pending", undefined, 9)).map(({ number }) => number)).toEqual([
      2,
    ]);
  });

  it("tell one of those who profile a version at once that it was the first to make it ready", async () => {
    const store = createDatasetStore(database);
    await addDataset("twice");
    const row = await addVersion("twice", "a");
    const ready = { state: "ready", row_count: 3 } as const;
    const answers = await Promise.all([1, 2, 3].map(() => store.recordFindings(row, ready)));
    expect(answers.toSorted()).toEqual(["again", "again", "first"]);
    expect(await store.recordFindings({ ...row, blob_key: "another" }, ready)).toBe("gone");
  });

  it("never reopen a version that is ready", async () => {
    const store = createDatasetStore(database);
    await addDataset("kept");
    const row = await addVersion("kept", "a");
    await store.recordFindings(row, { state: "ready" });
    const reading = { format: "jsonl", options: {}, blobKey: "elsewhere", nowMs: 1 } as const;
    expect(await store.reopenVersion(row, reading)).toBe(false);
    expect(await store.getVersion("kept", row.version)).toMatchObject({ state: "ready", format: "csv" });
  });

  it("change a data set only from the revision before", async () => {
    const store = createDatasetStore(database);
    await addDataset("revised");
    const row = await store.getDataset("revised");
    if (row === undefined) throw new Error("It was not added.");
    expect(await store.updateDataset({ ...row, revision: 2, description: "first" })).toBe(true);
    expect(await store.updateDataset({ ...row, revision: 2, description: "second" })).toBe(false);
    expect(await store.getDataset("revised")).toMatchObject({ revision: 2, description: "first" });
  });

  it("list trainings newest first, those of the same moment by their ids, page after page", async () => {
    const store = createTrainingStore(database);
    for (const [job, createdMs] of [
      ["a", 1],
      ["b", 2],
      ["c", 2],
      ["d", 3],
    ] as const) {
      const row = {
        job_id: job,
        dataset: "flights",
        dataset_version: versionOf("a"),
        registered_model: job === "b" ? "other" : "late",
        run_id: null,
        model_version: null,
        created_by: "somebody",
        created_ms: createdMs,
      };
      await database.transaction((trx) => store.insert(row, trx));
    }
    const idsOf = async (...args: Parameters<typeof store.list>) =>
      (await store.list(...args)).map(({ job_id }) => job_id);
    expect(await idsOf(undefined, undefined, 2)).toEqual(["d", "c"]);
    expect(await idsOf(undefined, { createdMs: 2, id: "c" }, 2)).toEqual(["b", "a"]);
    expect(await idsOf("late", undefined, 9)).toEqual(["d", "c", "a"]);
    expect((await store.get("a"))?.dataset).toBe("flights");
  });
});
