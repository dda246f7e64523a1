import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { servingMigrations } from "../../../../models/serving/index.ts";
import type { Gate, RolloutDetail } from "../../../../models/serving/rollouts/schemas.ts";
import type { Database } from "../../../../shared/database/index.ts";
import { databaseCases } from "../../../support/databases.ts";
import { type Instance, rolloutInstances } from "./rollout-instances.ts";

const minuteMs = 60_000;
const gates: Gate[] = [{ signal: "error_rate", max: 0.01, minimumRequests: 100 }];

describe.each(databaseCases())("rollouts that several hands move, on $name", ({ open }) => {
  let database: Database;
  let all: ReturnType<typeof rolloutInstances>;
  let one: Instance;
  beforeEach(async () => {
    database = await open(servingMigrations);
    all = rolloutInstances(database);
    one = all.instance();
  });
  afterEach(() => database.close());
  const kinds = async ({ id }: RolloutDetail) =>
    (await one.rollouts.get("d", id)).events.map(({ kind }) => kind).reverse();
  const weights = async () => {
    const { variants } = await one.deployments.getDeployment("d");
    return Object.fromEntries(variants.map(({ name, weight }) => [name, weight]));
  };

  it("take each step once, however many instances look, and never over somebody else's change", async () => {
    const steps = Array.from({ length: 10 }, (_, i) => (i + 1) * 5);
    const instances = Array.from({ length: 4 }, () => all.instance());
    const { id } = await all.begin("d", {
      steps: steps.map((weight) => ({ weight, minutes: 1, minimumRequests: 0 })),
    });
    for (let round = 0; round < 4; round++) {
      all.pass(minuteMs);
      await Promise.all(instances.map(({ rollouts }) => rollouts.tick()));
    }
    expect(await one.rollouts.get("d", id)).toMatchObject({ state: "running", step: 5, revision: 6 });
    all.pass(minuteMs);
    await Promise.all([
      ...instances.map(({ rollouts }) => rollouts.tick()),
      one.deployments.changeDeployment("d", { timeoutMs: 777 }, all.by),
    ]);
    const end = await one.rollouts.get("d", id);
    expect(end).toMatchObject({ state: "superseded" });
    const { revision, timeoutMs, variants } = await one.deployments.getDeployment("d");
    // Either the step came before the change, or not at all.
    expect([revision, timeoutMs]).toEqual([end.revision + 1, 777]);
    expect(variants[1]?.weight).toBe(steps[end.step - 1]);
    expect(all.logged).toEqual([]);
  });

  it.each(["pause", "abort"] as const)("reach their deadline once, with %s", async (onDeadline) => {
    const rollout = await all.begin("d", { gates, onDeadline });
    const instances = Array.from({ length: 4 }, () => all.instance());
    all.pass(61 * minuteMs);
    await Promise.all(instances.map(({ rollouts }) => rollouts.tick()));
    expect(await kinds(rollout)).toEqual(["started", onDeadline === "pause" ? "paused" : "aborted"]);
    expect(all.audited.filter((action) => action === `rollout.${onDeadline}`)).toHaveLength(1);
    expect(all.logged).toEqual([]);
  });

  it("are not paused again by who saw them at their deadline before they went on", async () => {
    const rollout = await all.begin("d", { gates });
    const slow = all.instance({
      async afterCounting() {
        await one.rollouts.tick();
        await one.rollouts.resume("d", rollout.id, all.by);
      },
    });
    all.pass(61 * minuteMs);
    await slow.rollouts.tick();
    expect(await kinds(rollout)).toEqual(["started", "paused", "resumed"]);
    expect(await one.rollouts.get("d", rollout.id)).toMatchObject({ state: "running" });
    expect(all.logged).toEqual([]);
  });

  it("take no step after a person paused them", async () => {
    const rollout = await all.begin("d");
    const slow = all.instance({ afterCounting: () => one.rollouts.pause("d", rollout.id, all.by) });
    all.pass(minuteMs);
    await slow.rollouts.tick();
    expect(await one.rollouts.get("d", rollout.id)).toMatchObject({ state: "paused", step: 1 });
    expect(await weights()).toEqual({ main: 90, v2: 10 });
    expect(all.changed).toEqual([1, 2]);
    expect(all.logged).toEqual([]);
  });

  it("are paused by a person also when a step is taken at that moment", async () => {
    const rollout = await all.begin("d");
    const slow = all.instance({ afterFinding: () => one.rollouts.tick() });
    all.pass(minuteMs);
    expect(await slow.rollouts.pause("d", rollout.id, all.by)).toMatchObject({ state: "paused", step: 2 });
  });

  it("are aborted by a person also when a step is taken at that moment", async () => {
    const rollout = await all.begin("d");
    const slow = all.instance({ afterCounting: () => one.rollouts.tick() });
    all.pass(minuteMs);
    expect(await slow.rollouts.abort("d", rollout.id, all.by)).toMatchObject({ state: "aborted", step: 2 });
    expect(await kinds(rollout)).toEqual(["started", "stepped", "aborted"]);
    expect(await weights()).toEqual({ main: 100 });
  });

  it("tell a person who aborts them when they completed at that moment", async () => {
    const rollout = await all.begin("d");
    await one.rollouts.advance("d", rollout.id, { reason: "sure", complete: false }, all.actor);
    const slow = all.instance({ afterCounting: () => one.rollouts.tick() });
    all.pass(minuteMs);
    const aborted = slow.rollouts.abort("d", rollout.id, all.by);
    await expect(aborted).rejects.toMatchObject({
      kind: "conflict",
      message: expect.stringMatching(/is completed and cannot be aborted/),
    });
    expect(await weights()).toEqual({ v2: 100 });
  });

  it("are taken back once when a gate fails while a person aborts them", async () => {
    const rollout = await all.begin("d", { gates });
    await all.count("d", rollout.revision, { requests: 200, errors: { internal: 200 } });
    const slow = all.instance({ afterCounting: () => one.rollouts.abort("d", rollout.id, all.by) });
    await slow.rollouts.tick();
    expect(await kinds(rollout)).toEqual(["started", "aborted"]);
    expect(await one.deployments.getDeployment("d")).toMatchObject({ revision: 3 });
    expect(all.logged).toEqual([]);
  });

  it.each([
    { what: "a step", body: {}, errors: 0 },
    { what: "a deadline that pauses", body: { gates }, errors: 0 },
    { what: "a deadline that takes back", body: { gates, onDeadline: "abort" as const }, errors: 0 },
    { what: "a gate that fails", body: { gates }, errors: 200 },
  ])("leave the deployment deleted that was deleted at the moment of $what", async ({ body, errors }) => {
    const rollout = await all.begin("d", body);
    if (errors > 0)
      await all.count("d", rollout.revision, { requests: errors, errors: { internal: errors } });
    const slow = all.instance({ afterCounting: () => one.deployments.deleteDeployment("d", all.by) });
    all.pass(61 * minuteMs);
    await slow.rollouts.tick();
    expect(await kinds(rollout)).toEqual(["started", "superseded"]);
    await expect(one.deployments.getDeployment("d")).rejects.toMatchObject({ kind: "not_found" });
    expect(all.logged).toEqual([]);
  });

  it("leave a deployment alone that was made again under its name", async () => {
    const rollout = await all.begin("d", { gates, onDeadline: "abort" });
    const variants = [{ name: "other", model: "m", version: "3", weight: 100 }];
    const slow = all.instance({
      async afterCounting() {
        await one.deployments.deleteDeployment("d", all.by);
        await one.deployments.changeDeployment("d", { variants }, all.by);
      },
    });
    all.pass(61 * minuteMs);
    await slow.rollouts.tick();
    expect(await kinds(rollout)).toEqual(["started", "superseded"]);
    expect(await weights()).toEqual({ other: 100 });
    expect(all.logged).toEqual([]);
  });
});
