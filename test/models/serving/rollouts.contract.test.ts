import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDeployments } from "../../../models/serving/deployments.ts";
import { servingMigrations } from "../../../models/serving/index.ts";
import { createRollouts } from "../../../models/serving/rollouts/rollouts.ts";
import {
  createRolloutStore,
  type RolloutStore,
  type StoredRollout,
} from "../../../models/serving/rollouts/store.ts";
import { createDeploymentStore, type DeploymentStore } from "../../../models/serving/store.ts";
import { createTallyStore } from "../../../models/serving/tally-store.ts";
import type { Database } from "../../../shared/database/index.ts";
import { systemActor } from "../../../shared/identity/index.ts";
import { createLogger } from "../../../shared/telemetry/index.ts";
import { databaseCases } from "../../support/databases.ts";

const rollout = (id: string, more: Partial<StoredRollout> = {}): StoredRollout => ({
  id,
  deployment: "d",
  state: "running",
  stateReason: "begun – with é",
  target: { name: "v2", model: "m", version: "2" },
  champion: "main",
  gates: [{ signal: "error_rate", max: 0.01, minimumRequests: 100 }],
  onFailure: "pause",
  steps: [
    {
      weight: 12.5,
      minutes: 0.5,
      minimumRequests: 0,
      shadowFraction: null,
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

  it("take each step once, however many instances look, and never over somebody else's change", async () => {
    let nowMs = 1_767_600_000_000;
    const logged: string[] = [];
    const instance = () => {
      const ground = {
        store: deployments,
        audit: { record: async () => undefined },
        clock: () => nowMs,
        logger: createLogger(
          { logLevel: "info", codeVersion: "test" },
          { write: (line) => logged.push(line) },
        ),
      };
      const checkTarget = async () => undefined;
      const served = createDeployments({ ...ground, onChange: () => undefined, checkTarget });
      const tallies = { flush: async () => undefined };
      const tallyStore = createTallyStore(database, "test");
      const all = createRollouts({ ...ground, rollouts: store, deployments: served, tallies, tallyStore });
      return { served, all };
    };
    const instances = Array.from({ length: 4 }, instance);
    const [{ served, all }] = instances as [(typeof instances)[number]];
    const actor = systemActor("test");
    const by = { actor, reason: "by hand" };
    await served.changeDeployment(
      "d",
      { variants: [{ name: "main", model: "m", version: "1", weight: 100 }] },
      by,
    );
    const weights = Array.from({ length: 10 }, (_, i) => (i + 1) * 5);
    const { id } = await all.start(
      "d",
      {
        target: { model: "m", version: "2" },
        steps: weights.map((weight) => ({ weight, minutes: 1, minimumRequests: 0 })),
        gates: [],
        onFailure: "abort",
        reason: "better",
      },
      actor,
    );
    for (let round = 0; round < 4; round++) {
      nowMs += 60_000;
      await Promise.all(instances.map((each) => each.all.tick()));
    }
    expect(await all.get("d", id)).toMatchObject({ state: "running", step: 5, revision: 6 });
    nowMs += 60_000;
    await Promise.all([
      ...instances.map((each) => each.all.tick()),
      served.changeDeployment("d", { timeoutMs: 777 }, by),
    ]);
    const end = await all.get("d", id);
    expect(end).toMatchObject({ state: "superseded" });
    const { revision, timeoutMs, variants } = await served.getDeployment("d");
    // Either the step came before the change, or not at all.
    expect([revision, timeoutMs]).toEqual([end.revision + 1, 777]);
    expect(variants[1]?.weight).toBe(weights[end.step - 1]);
    expect(logged).toEqual([]);
  });
});
