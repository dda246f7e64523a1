import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import pino from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Admit, createAdmission } from "../../../models/datasets/admission.ts";
import { createDeletions, type Deletions } from "../../../models/datasets/deletion.ts";
import { createDeletionStore, keysOf } from "../../../models/datasets/deletion-store.ts";
import { datasetMigrations } from "../../../models/datasets/index.ts";
import { createDatasetStore, type DatasetStore } from "../../../models/datasets/store.ts";
import type { VersionRow } from "../../../models/datasets/tables.ts";
import { type BlobStore, openBlobStore } from "../../../shared/blobs/index.ts";
import type { Database } from "../../../shared/database/index.ts";
import { isKetlineError } from "../../../shared/errors.ts";
import { jobGround, jobTables } from "../../shared/jobs/ground.ts";
import { type SettableClock, settableClock, testSigningKey } from "../../support/application.ts";
import { databaseCases } from "../../support/databases.ts";

const ada = { id: "ada", name: "Ada", role: "operator", source: "entra" } as const;
const by = { actor: ada, reason: "asked for by its owner" };
const dayMs = 86_400_000;

/** Holds others up: `pass` waits until it is opened, `reached` until somebody waits. */
function gate() {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const pass = () => {
    reached.resolve();
    return opened.promise;
  };
  return { reached: reached.promise, open: opened.resolve, pass };
}

describe.each(databaseCases())("deleting versions of data sets on $name", ({ open }) => {
  let database: Database;
  let directory: string;
  let blobs: BlobStore;
  let clock: SettableClock;
  let store: DatasetStore;
  let deletions: Deletions;
  let arrivals = 0;
  beforeAll(async () => {
    database = await open([...jobTables, ...datasetMigrations]);
    store = createDatasetStore(database);
  });
  afterAll(() => database.close());
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
    clock = settableClock(Date.now());
    blobs = await openBlobStore({ kind: "file", directory }, { signingKey: testSigningKey, clock });
    deletions = await instance();
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const instance = async (disturbed: BlobStore = blobs): Promise<Deletions> => {
    const { jobs, audit } = await jobGround(database, []);
    const logger = pino({ level: "silent" });
    const ground = {
      store,
      deletions: createDeletionStore(database),
      jobs,
      clock,
      audit,
      logger,
      usedBy: [],
      madeBy: [],
    };
    return createDeletions({ ...ground, blobs: disturbed });
  };
  const admission = async (into: BlobStore = blobs): Promise<Admit> => {
    const { audit } = await jobGround(database, []);
    return createAdmission({ store, blobs: into, clock, audit, maxUploadBytes: 1000 });
  };
  const add = async (
    dataset: string,
    content: string,
    format: "csv" | "jsonl" = "csv",
    into = blobs,
  ): Promise<VersionRow> => {
    const named = { name: dataset, description: "", expectations: "[]", revision: 1 };
    await store.insertDataset({ ...named, created_by: "ada", created_ms: 1, updated_ms: 1 });
    const key = `incoming/datasets/${arrivals++}`;
    await blobs.put(key, Buffer.from(content));
    return (await admission(into))({ key, dataset, format, options: {}, actor: ada });
  };
  /** As its profile leaves it. */
  const profiled = async (row: VersionRow, state: "ready" | "failed" = "ready"): Promise<VersionRow> => {
    const findings = { state, rows_key: `${row.blob_key}.rows.parquet`, profile_key: `${row.blob_key}.json` };
    for (const key of [findings.rows_key, findings.profile_key]) await blobs.put(key, Buffer.from("x"));
    expect(await store.recordFindings(row, findings)).toBe("first");
    return { ...row, ...findings };
  };
  const stored = async () => (await blobs.list("")).blobs.map(({ key }) => key);
  const garbage = () =>
    database
      .tables<{ dataset_garbage: { blob_key: string } }>()
      .selectFrom("dataset_garbage")
      .selectAll()
      .execute();

  it("takes all blobs of the version, and none of another data set with the same content", async () => {
    const row = await profiled(await add("one", "a\n1\n"));
    const other = await add("two", "a\n1\n");
    expect(other.version).toBe(row.version);
    await deletions.deleteVersion(row, by);
    expect(await store.getVersion("one", row.version)).toBeUndefined();
    expect(await stored()).toEqual([other.blob_key]);
    expect(await garbage()).toEqual([]);
  });

  it("gives the same content another number and blobs of its own when it comes again", async () => {
    const row = await profiled(await add("again", "a\n1\n"));
    await deletions.deleteVersion(row, by);
    const back = await add("again", "a\n1\n");
    expect(back).toMatchObject({ version: row.version, number: row.number + 1, state: "pending" });
    expect(await stored()).toEqual([back.blob_key]);
  });

  it("leaves the blobs to the next round when the process is killed after the rows went", async () => {
    const row = await profiled(await add("killed", "a\n1\n"));
    expect(await createDeletionStore(database).deleteVersion(row, clock())).toMatchObject({
      number: row.number,
    });
    expect((await stored()).toSorted()).toEqual(keysOf(row).toSorted());
    await Promise.all([(await instance()).removeGarbage(), (await instance()).removeGarbage()]);
    expect(await stored()).toEqual([]);
    expect(await garbage()).toEqual([]);
  });

  it("is done when the store of blobs is away, which come after it", async () => {
    const row = await profiled(await add("away", "a\n1\n"));
    const away = await instance({ ...blobs, delete: () => Promise.reject(new Error("The store is away.")) });
    await away.deleteVersion(row, by);
    expect(await store.getVersion("away", row.version)).toBeUndefined();
    await expect(away.removeGarbage()).rejects.toThrow("away");
    await deletions.removeGarbage();
    expect(await stored()).toEqual([]);
  });

  it("is done once when two instances do it at the same moment", async () => {
    const row = await profiled(await add("twice", "a\n1\n"));
    const outcomes = await Promise.allSettled([
      deletions.deleteVersion(row, by),
      (await instance()).deleteVersion(row, by),
    ]);
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    const lost = outcomes.find((outcome) => outcome.status === "rejected");
    expect(isKetlineError(lost?.reason, "not_found")).toBe(true);
  });

  it("does not take the blobs of the same content that comes again before the old ones are gone", async () => {
    const row = await profiled(await add("crossed", "a\n1\n"));
    const held = gate();
    const slow = await instance({
      ...blobs,
      async delete(key) {
        await held.pass();
        return blobs.delete(key);
      },
    });
    const deleting = slow.deleteVersion(row, by);
    await held.reached;
    const back = await profiled(await add("crossed", "a\n1\n"));
    held.open();
    await deleting;
    expect((await stored()).toSorted()).toEqual(keysOf(back).toSorted());
  });

  it("does not take a blob that was stored just before and gets its row just after", async () => {
    const row = await profiled(await add("overtaken", "a\n1\n"), "failed");
    const held = gate();
    const slow: BlobStore = {
      ...blobs,
      async put(key, body, options) {
        const put = await blobs.put(key, body, options);
        await held.pass();
        return put;
      },
    };
    const adding = add("overtaken", "a\n1\n", "csv", slow);
    await held.reached;
    await deletions.deleteVersion(row, by);
    await deletions.removeOrphans();
    held.open();
    const back = await adding;
    expect(back.number).toBe(row.number + 1);
    expect(await stored()).toEqual([back.blob_key]);
  });

  it("does not let whoever still reads a deleted version write into its successor", async () => {
    const before = await add("reader", "a\n1\n");
    await deletions.deleteVersion(before, by);
    const after = await add("reader", "a\n1\n");
    expect(await store.recordFindings(before, { state: "ready", rows_key: "gone" })).toBe("gone");
    expect(await store.getVersion("reader", after.version)).toMatchObject({
      state: "pending",
      rows_key: null,
    });
  });

  it("of a whole data set takes its versions and open uploads, and refuses who adds one at that moment", async () => {
    await profiled(await add("whole", "a\n1\n"));
    await add("whole", "a\n2\n");
    await blobs.put("incoming/datasets/open", Buffer.from("a"));
    const upload = { id: "open", dataset: "whole", format: "csv", options: "{}", created_by: "{}" } as const;
    await store.insertUpload({ ...upload, blob_key: "incoming/datasets/open", expires_ms: clock() + dayMs });
    await deletions.deleteDataset("whole", by);
    expect(await store.getDataset("whole")).toBeUndefined();
    expect(await store.getUpload("open")).toBeUndefined();
    expect(await stored()).toEqual([]);
    await blobs.put("incoming/datasets/late", Buffer.from("a\n3\n"));
    const late = {
      key: "incoming/datasets/late",
      dataset: "whole",
      format: "csv",
      options: {},
      actor: ada,
    } as const;
    await expect((await admission())(late)).rejects.toThrow('There is no data set "whole".');
    expect(await stored()).toEqual(["incoming/datasets/late"]);
    await expect(deletions.deleteDataset("whole", by)).rejects.toThrow('There is no data set "whole"');
  });

  it("is not what happens to a failed version that is uploaded again: it moves to a new blob", async () => {
    const row = await profiled(await add("mended", "a\n1\n"), "failed");
    const again = await add("mended", "a\n1\n", "jsonl");
    expect(again).toMatchObject({ number: row.number, state: "pending", format: "jsonl", rows_key: null });
    await deletions.removeGarbage();
    expect(await stored()).toEqual([again.blob_key]);
  });

  it("is made up for a day later where somebody was killed between a blob and its row", async () => {
    const row = await profiled(await add("orphans", "a\n1\n"));
    const young = `${row.blob_key}.young`;
    const orphans = [
      `datasets/orphans/${"0".repeat(64)}.x.csv`,
      `datasets/nobody/${row.version}.x.csv`,
      young,
    ];
    for (const key of orphans) await blobs.put(key, Buffer.from("x"));
    await deletions.removeOrphans();
    expect(await stored()).toHaveLength(6);
    clock.advance(2 * dayMs);
    await Promise.all([deletions.removeOrphans(), (await instance()).removeOrphans()]);
    expect((await stored()).toSorted()).toEqual(keysOf(row).toSorted());
  });
});
