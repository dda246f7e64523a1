import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRegistry, type Registry, registryMigrations } from "../../../models/registry/index.ts";
import { selectEvents } from "../../../models/registry/store/events.ts";
import type { RegistryTables } from "../../../models/registry/store/tables.ts";
import { createTracking, trackingMigrations } from "../../../models/tracking/index.ts";
import { createFileStore } from "../../../shared/blobs/files/file-store.ts";
import type { Database } from "../../../shared/database/index.ts";
import { systemActor } from "../../../shared/identity/actor.ts";
import { testSigningKey } from "../../support/application.ts";
import { databaseCases } from "../../support/databases.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const actor = systemActor("writers");
const versions = 4;

describe.each(databaseCases())("many writers of one registry on $name", ({ open }) => {
  let database: Database;
  let registry: Registry;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    database = await open([...trackingMigrations, ...registryMigrations]);
    let now = 0;
    const ground = {
      database,
      blobs: await createFileStore({ directory: directory.path, signingKey: testSigningKey }),
      clock: () => ++now,
      audit: { record: async () => undefined },
    };
    registry = createRegistry({ ...ground, tracking: createTracking(ground) });
    await registry.ensureModel("m", actor);
    for (let index = 0; index < versions; index++) {
      await registry.createVersion({ name: "m", source: "s3://bucket/m", actor });
    }
  });
  afterAll(async () => {
    await database?.close();
    await directory.remove();
  });

  it("lose no move of an alias, and tell a history without a gap", async () => {
    const writers = Array.from({ length: 16 }, async (_, writer) => {
      for (let move = 0; move < 10; move++) {
        const version = 1 + ((writer + move) % versions);
        await registry.setAlias("m", "champion", version, { actor, reason: `${writer}/${move}` });
      }
    });
    await Promise.all(writers);
    const store = { db: database.tables<RegistryTables>(), dialect: database.dialect };
    const events = (
      await selectEvents(store, "m", undefined, { limit: 1000, before: undefined, alias: "champion" })
    ).toReversed();
    // Each move starts where the one before it ended; a move to where the alias stood already is none.
    let at: unknown = null;
    for (const event of events) {
      expect(event.before).toBe(at);
      expect(event.after).not.toBe(event.before);
      at = event.after;
    }
    expect((await registry.getByAlias("m", "champion"))?.version).toBe(at);
    const ids = events.map(({ id }) => id);
    expect(ids).toEqual(ids.map((_, index) => (ids[0] ?? 0) + index));
    expect(await registry.revision()).toBe(ids.at(-1));
  });

  it("let exactly one of those who expect the same place win", async () => {
    await registry.setAlias("m", "contested", 1, { actor });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 16 }, (_, writer) =>
        registry.setAlias("m", "contested", 2 + (writer % 3), { actor, expectedVersion: 1 }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("give every version a number of its own", async () => {
    const made = await Promise.all(
      Array.from({ length: 16 }, () => registry.createVersion({ name: "m", source: "s3://bucket/m", actor })),
    );
    const numbers = made.map(({ version }) => version).toSorted((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 16 }, (_, index) => versions + 1 + index));
  });
});
