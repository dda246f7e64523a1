import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDeployments, type Deployments } from "../../../../models/serving/deployments/deployments.ts";
import { createDeploymentStore, type DeploymentStore } from "../../../../models/serving/deployments/store.ts";
import { servingMigrations } from "../../../../models/serving/index.ts";
import { createLedgerStore } from "../../../../models/serving/traffic/store.ts";
import { emptyTally } from "../../../../models/serving/traffic/tally.ts";
import type { Database } from "../../../../shared/database/index.ts";
import { isKetlineError } from "../../../../shared/errors.ts";
import { systemActor } from "../../../../shared/identity/index.ts";
import { databaseCases } from "../../../support/databases.ts";

const by = (reason: string) => ({ actor: systemActor("test"), reason });
const serving = (version: number) => ({
  variants: [{ name: "main", model: "m", version: String(version), weight: 100 }],
});

describe.each(databaseCases())("deployments on $name", ({ open }) => {
  let database: Database;
  let store: DeploymentStore;
  let deployments: Deployments;
  let nowMs = 1000;
  /** Revisions that events told of. */
  let changed: number[];

  beforeEach(async () => {
    changed = [];
    database = await open(servingMigrations);
    store = createDeploymentStore(database);
    deployments = createDeployments({
      store,
      audit: { record: async () => undefined },
      clock: () => nowMs++,
      events: { deploymentChanged: ({ revision }) => void changed.push(revision) },
      onChange: () => undefined,
      checkTarget: async () => undefined,
    });
  });
  afterEach(() => database.close());

  it("come back as they were written", async () => {
    const spec = {
      variants: [
        { name: "a", model: "m é", version: "1", weight: 33.5 },
        { name: "b", model: "m", alias: "champion", weight: 66.5 },
      ],
      shadows: [{ name: "s", model: "m", version: "2", fraction: 0.25 }],
      sticky: { by: "field" as const, name: "user" },
      timeoutMs: 250,
    };
    const written = await deployments.changeDeployment("d", spec, by("begin"));
    expect(await deployments.getDeployment("d")).toEqual(written);
    expect(written).toMatchObject({
      ...spec,
      revision: 1,
      updatedBy: { id: "system:test" },
      reason: "begin",
    });
  });

  it("take sixteen writers at once, each change on top of the one before", async () => {
    await deployments.changeDeployment("d", serving(1), by("begin"));
    const write = async (writer: number): Promise<void> => {
      const { revision, timeoutMs } = await deployments.getDeployment("d");
      try {
        const change = { timeoutMs: timeoutMs + 1 };
        await deployments.changeDeployment("d", change, {
          ...by(`writer ${writer}`),
          expectedRevision: revision,
        });
      } catch (error) {
        if (!isKetlineError(error, "precondition_failed")) throw error;
        return write(writer);
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, writer) => write(writer)));
    expect(await deployments.getDeployment("d")).toMatchObject({ revision: 17, timeoutMs: 10_016 });
    const { items } = await deployments.listRevisions("d");
    expect(new Set(items.map(({ reason }) => reason)).size).toBe(17);
    expect(items.map(({ revision }) => revision)).toEqual(Array.from({ length: 17 }, (_, i) => 17 - i));
    expect(changed.toSorted((a, b) => b - a)).toEqual(items.map(({ revision }) => revision));
  });

  it("are followed by their change number, deletions included", async () => {
    await deployments.changeDeployment("a", serving(1), by("one"));
    await deployments.changeDeployment("b", serving(1), by("two"));
    const before = await store.changeNumber();
    await deployments.changeDeployment("a", serving(2), by("three"));
    await deployments.deleteDeployment("b", by("four"));
    const changed = await store.changedSince(before);
    expect(changed.map(({ deployment, deleted }) => [deployment.name, deleted]).sort()).toEqual([
      ["a", false],
      ["b", true],
    ]);
    expect(await store.changeNumber()).toBe(before + 2);
  });

  it("are listed by name, page by page", async () => {
    for (const name of ["c", "a", "b"]) await deployments.changeDeployment(name, serving(1), by("x"));
    const first = await deployments.listDeployments({ limit: 2 });
    expect(first.items.map(({ name }) => name)).toEqual(["a", "b"]);
    const second = await deployments.listDeployments({ limit: 2, cursor: first.nextCursor ?? "" });
    expect(second.items.map(({ name }) => name)).toEqual(["c"]);
    expect(second.nextCursor).toBeUndefined();
    const revisions = await deployments.listRevisions("a", { limit: 1 });
    expect(revisions.nextCursor).toBeUndefined();
  });

  it("keep what their windows count, written over and over", async () => {
    const ledger = createLedgerStore(database, "instance-1");
    const key = {
      windowMs: 300_000,
      deployment: "d",
      revision: 1,
      variant: "main",
      modelName: "m",
      modelVersion: "1",
      shadow: false,
    };
    await ledger.write(key, { ...emptyTally(), requests: 1 });
    await ledger.write(key, { ...emptyTally(), requests: 2 });
    await createLedgerStore(database, "instance-2").write(key, { ...emptyTally(), requests: 5 });
    await ledger.write({ ...key, windowMs: 600_000 }, { ...emptyTally(), requests: 7 });
    const requests = async (sinceMs: number) =>
      (await ledger.read("d", { fromMs: sinceMs, revisions: { from: 1, to: 1 } }))
        .map(({ tally }) => tally.requests)
        .sort();
    expect(await requests(0)).toEqual([2, 5, 7]);
    expect(await requests(600_000)).toEqual([7]);
    await ledger.deleteBefore(600_000);
    expect(await requests(0)).toEqual([7]);
  });
});
