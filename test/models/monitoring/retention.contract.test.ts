import pino from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { hourPath, type Partition, partitionPrefix } from "../../../models/monitoring/capture/captured.ts";
import { monitoringMigrations } from "../../../models/monitoring/index.ts";
import { createLabelStore } from "../../../models/monitoring/labels/store.ts";
import { removePredictions } from "../../../models/monitoring/retention.ts";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import type { Database } from "../../../shared/database/index.ts";
import { type BlobWorld, blobStoreCases } from "../../support/blob-stores.ts";
import { databaseCases } from "../../support/databases.ts";

const hourMs = 3_600_000;
const day = (number: number) => Date.UTC(2026, 2, number);

describe.each(blobStoreCases())("captured predictions in $name", ({ start, open, stop }) => {
  let world: BlobWorld;
  let database: Database;
  beforeAll(start);
  afterAll(stop);
  beforeEach(async () => {
    world = await open();
    database = await databaseCases()[0]!.open(monitoringMigrations);
  });
  afterEach(async () => {
    await database.close();
    await world.close();
  });

  const main: Partition = { deployment: "flights/eu", model: "late ones", version: "3", shadow: false };
  const shadow: Partition = { ...main, version: "4", shadow: true };
  const put = async (partition: Partition, atMs: number, name = "a") => {
    const place = partitionPrefix(partition) + hourPath(atMs);
    await world.store.put(`${place}${name}.jsonl`, Buffer.from("{}\n"));
    await world.store.put(`${place.replace("capture/", "monitoring/hours/")}${name}.json`, Buffer.from("{}"));
  };
  const hoursLeft = async () => {
    const keys: string[] = [];
    for (const root of ["capture/", "monitoring/"]) {
      keys.push(...(await world.store.list(root)).blobs.map(({ key }) => key));
    }
    return keys.map((key) =>
      /(shadow)?=[^/]+\/model.*dt=\d+-\d+-(\d+)\/hh=(\d+)/.exec(key)!.slice(1).join(" "),
    );
  };
  const remove = (beforeMs: number, blobs: BlobStore = world.store, clock = () => 0) =>
    removePredictions(
      {
        blobs,
        labels: createLabelStore(database),
        datasets: { getVersion: () => Promise.reject(new Error("not asked")) },
        clock,
        logger: pino({ level: "silent" }),
      },
      beforeMs,
    );

  it("go by full hours, with the profiles of those hours, whoever answered", async () => {
    for (const partition of [main, shadow]) {
      await put(partition, day(1));
      await put(partition, day(2) + 6 * hourMs);
      await put(partition, day(2) + 7 * hourMs);
      await put(partition, day(3));
    }
    await put(main, day(1), "b");
    const removed = await remove(day(2) + 7.5 * hourMs);
    expect(removed).toMatchObject({ blobs: 2 * 5, labels: 0 });
    expect((await hoursLeft()).toSorted()).toEqual(
      [" 02 07", " 03 00", "shadow 02 07", "shadow 03 00"].flatMap((hour) => [hour, hour]),
    );
    expect(await remove(day(2) + 7.5 * hourMs)).toEqual({ blobs: 0, bytes: 0, labels: 0 });
  });

  it("go in the next round when one was killed in the middle or had taken long enough", async () => {
    for (let hour = 0; hour < 20; hour++) await put(main, day(1) + hour * hourMs);
    let deletions = 0;
    const dying: BlobStore = {
      ...world.store,
      async delete(key) {
        if (++deletions > 5) throw new Error("killed");
        return world.store.delete(key);
      },
    };
    await expect(remove(day(2), dying)).rejects.toThrow("killed");
    let nowMs = 0;
    const slow = await remove(day(2), world.store, () => (nowMs += 3 * 60_000));
    expect(slow.blobs).toBeGreaterThan(0);
    await Promise.all([remove(day(2)), remove(day(2))]);
    expect(await hoursLeft()).toEqual([]);
  });

  it("take what was observed of them later along", async () => {
    const labels = createLabelStore(database);
    const label = (requestId: string, observedAt: number) => ({
      requestId,
      rowIndex: 0,
      value: 1,
      observedAt,
    });
    await labels.upsert([label("old", day(1)), label("kept", day(3))], day(3));
    await labels.upsert([label("told early", day(9))], day(1));
    expect(await remove(day(2))).toMatchObject({ labels: 2 });
    const left = await labels.ofRequests(["old", "kept", "told early"]);
    expect([...left.keys()]).toEqual(["kept"]);
  });
});
