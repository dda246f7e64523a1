import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDeploymentStore, type DeploymentStore } from "../../../../models/serving/deployments/store.ts";
import { servingMigrations } from "../../../../models/serving/index.ts";
import {
  createRolloutStore,
  type RolloutStore,
  type RolloutTables,
  type StoredRollout,
} from "../../../../models/serving/rollouts/store.ts";
import { createLedgerStore } from "../../../../models/serving/traffic/store.ts";
import { emptyTally } from "../../../../models/serving/traffic/tally.ts";
import type { Database } from "../../../../shared/database/index.ts";
import { databaseCases } from "../../../support/databases.ts";

const rollout = (id: string, more: Partial<StoredRollout> = {}): StoredRollout => ({
  id,
  deployment: "d",
  state: "running",
  stateReason: "begun – with é",
  target: { name: "v2", model: "m", version: "2" },
  champion: "main",
  gates: [{ signal: "error_rate", max: 0.01, minimumRequests: 100 }],
  onFailure: "pause",
  onDeadline: "abort",
  steps: [
    {
      weight: 12.5,
      minutes: 0.5,
      minimumRequests: 0,
      shadowFraction: null,
      progressDeadlineMs: 3_600_000,
      state: "current",
      revision: 4,
      startedMs: 1_767_600_000_000,
      endedMs: null,
      requests: null,
      verdicts: [],
    },
  ],
  step: 1,
  baseRevision: 3,
  revision: 4,
  startedMs: 1_767_600_000_000,
  endedMs: null,
  startedBy: { id: "u", name: "Ada" },
  reason: "better",
  sinceMs: 1_767_600_000_000,
  pausedMs: null,
  ...more,
});
const over = { state: "completed", endedMs: 1_767_600_000_001 } as const;

describe.each(databaseCases())("rollouts on $name", ({ open }) => {
  let database: Database;
  let deployments: DeploymentStore;
  let store: RolloutStore;
  beforeEach(async () => {
    database = await open(servingMigrations);
    deployments = createDeploymentStore(database);
    store = createRolloutStore(database);
  });
  afterEach(() => database.close());
  const insert = (...rollouts: StoredRollout[]) =>
    deployments.change(async ({ rollouts: writer }) => {
      for (const each of rollouts) await writer.insert(each);
    });

  it("come back as they were written and as they were changed", async () => {
    await insert(rollout("a"));
    expect(await store.find("d", "a")).toEqual(rollout("a"));
    expect(await store.find("other", "a")).toBeNull();
    const paused = rollout("a", { state: "paused", pausedMs: 1_767_600_000_005, step: 2, revision: 5 });
    await deployments.change(({ rollouts }) => rollouts.update(paused));
    expect(await store.find("d", "a")).toEqual(paused);
  });

  it("are active once per deployment, whatever its writer believes", async () => {
    await insert(rollout("a", over), rollout("b", { state: "paused" }), rollout("c", { deployment: "e" }));
    expect(await deployments.change(({ rollouts }) => rollouts.active("d"))).toMatchObject({ id: "b" });
    expect(await deployments.change(({ rollouts }) => rollouts.active("none"))).toBeNull();
    await expect(insert(rollout("x"))).rejects.toThrow(/unique/i);
    expect(await store.find("d", "x")).toBeNull();
  });

  it("are undone with the change that they were written in", async () => {
    const failing = deployments.change(async ({ rollouts }) => {
      await rollouts.insert(rollout("a"));
      throw new Error("undone");
    });
    await expect(failing).rejects.toThrow("undone");
    expect(await store.find("d", "a")).toBeNull();
  });

  it("are listed newest first, page by page, also where several began at once", async () => {
    await insert(
      rollout("a", { ...over, startedMs: 1 }),
      rollout("b", { ...over, startedMs: 2 }),
      rollout("c", { ...over, startedMs: 2 }),
      rollout("z", { ...over, deployment: "e" }),
    );
    const ids = async (before?: { startedMs: number; id: string }) =>
      (await store.list("d", before, 2)).map(({ id }) => id);
    expect(await ids()).toEqual(["c", "b"]);
    expect(await ids({ startedMs: 2, id: "b" })).toEqual(["a"]);
    expect(await ids({ startedMs: 1, id: "a" })).toEqual([]);
  });

  it("that run are found page by page, over all deployments", async () => {
    await insert(
      rollout("a", { deployment: "1" }),
      rollout("b", { deployment: "2", state: "paused" }),
      rollout("c", { deployment: "3" }),
      rollout("d", { ...over, deployment: "4" }),
    );
    expect((await store.running("", 1)).map(({ id }) => id)).toEqual(["a"]);
    expect((await store.running("a", 9)).map(({ id }) => id)).toEqual(["c"]);
  });

  it("keep what happened to them, numbered, newest first", async () => {
    const event = { atMs: 5, step: 1, revision: null, by: { id: "u", name: "Ada" }, reason: "why" };
    await deployments.change(async ({ rollouts }) => {
      await rollouts.addEvent("a", { ...event, kind: "started", revision: 4 });
      await rollouts.addEvent("a", { ...event, kind: "paused" });
      await rollouts.addEvent("b", { ...event, kind: "started" });
    });
    expect(await store.events("a", 10)).toEqual([
      { ...event, number: 2, kind: "paused" },
      { ...event, number: 1, kind: "started", revision: 4 },
    ]);
    expect(await store.events("a", 1)).toHaveLength(1);
  });

  it("keep all that was counted of their current step while they are active", async () => {
    await insert(
      rollout("a", { state: "paused", revision: 4 }),
      rollout("b", { ...over, deployment: "e", revision: 4 }),
    );
    const ledger = createLedgerStore(database, "test");
    const about = { windowMs: 0, variant: "v2", modelName: "m", modelVersion: "2", shadow: false };
    const counted = [
      { ...about, deployment: "d", revision: 4 },
      { ...about, deployment: "d", revision: 3 },
      { ...about, deployment: "e", revision: 4 },
    ];
    for (const key of counted) await ledger.write(key, { ...emptyTally(), requests: 1 });
    await ledger.deleteBefore(1);
    const left = await Promise.all(
      counted.map(async ({ deployment, revision }) => {
        const kept = await ledger.read(deployment, { revisions: { from: revision, to: revision } });
        return kept.length;
      }),
    );
    expect(left).toEqual([1, 0, 0]);
  });

  it("that began before there were deadlines go on, and wait as long as it takes", async () => {
    const [added] = servingMigrations.filter(({ name }) => name === "0403-serving-rollout-deadlines");
    const before = await open(servingMigrations.filter((migration) => migration !== added));
    const { onDeadline: _, ...begun } = rollout("a", { state: "running" });
    const steps = begun.steps.map(({ progressDeadlineMs: _, ...step }) => step);
    await before
      .tables<{ serving_rollout: Omit<RolloutTables["serving_rollout"], "on_deadline"> }>()
      .insertInto("serving_rollout")
      .values({
        id: begun.id,
        deployment: begun.deployment,
        state: begun.state,
        state_reason: begun.stateReason,
        target: JSON.stringify(begun.target),
        champion: begun.champion,
        gates: JSON.stringify(begun.gates),
        on_failure: begun.onFailure,
        steps: JSON.stringify(steps),
        step: begun.step,
        base_revision: begun.baseRevision,
        revision: begun.revision,
        started_ms: begun.startedMs,
        since_ms: begun.sinceMs,
        paused_ms: null,
        ended_ms: null,
        author_id: begun.startedBy.id,
        author_name: begun.startedBy.name,
        reason: begun.reason,
      })
      .execute();
    await before.transaction<unknown, void>(async (trx) => added?.up(trx, before.dialect));
    expect(await createRolloutStore(before).running("", 10)).toEqual([
      { ...begun, onDeadline: "pause", steps: steps.map((step) => ({ ...step, progressDeadlineMs: null })) },
    ]);
    await before.close();
  });
});
