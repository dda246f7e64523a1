import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { call } from "../../../support/application.ts";
import type { ServingGround } from "../ground.ts";
import { instanceOf, minuteMs, rolloutGround, rolloutsThrough } from "./rollouts-ground.ts";

let ground: ServingGround;
let name = "";
const { started, read, act, tick, pass, deployment, weights, revision, ask, audited } = rolloutsThrough(
  () => ({ ground, name }),
);

beforeAll(async () => {
  ground = await rolloutGround(Math.random);
});
beforeEach(async ({ task }) => {
  name = `flights-${task.id}`;
  const variants = [{ name: "main", model: "times", version: "1", weight: 100 }];
  await call(ground.app, "PUT", `/api/v1/deployments/${name}`, { variants });
});
afterAll(() => ground.close());

const gates = [{ signal: "error_rate", max: 0.1, minimumRequests: 5 }];
/** Ten minutes, then half an hour in which five requests may come. */
const starving = {
  steps: [{ weight: 10, minutes: 10 }],
  gates,
  progressDeadlineMs: 30 * minuteMs,
};

describe("a step whose requests do not come", () => {
  it("waits for its minutes and then for its deadline, and pauses with how many came and were needed", async () => {
    const rollout = await started({
      ...starving,
      steps: [{ weight: 10, minutes: 10, minimumRequests: 8 }],
    });
    expect(rollout.deadlineMs).toBe(rollout.startedMs + 40 * minuteMs);
    await ask(rollout, "v2", 4);
    await pass(39.9);
    expect(await read(rollout)).toMatchObject({ state: "running" });
    await pass(0.1);
    const seen = await read(rollout);
    const reason =
      "Step 1 at 10 % still had too little evidence when its progressDeadlineMs of 1800000 was over. 4 requests came to the " +
      "new variant. The step needs 8. Gate error_rate: Only 4 of the new variant's requests so far; 5 are needed.";
    expect(seen).toMatchObject({
      state: "paused",
      stateReason: reason,
      endedMs: null,
      deadlineMs: null,
      steps: [{ state: "current", requests: 4 }, { state: "ahead" }],
      onDeadline: "pause",
    });
    expect(seen.events[0]).toMatchObject({
      kind: "paused",
      step: 1,
      reason,
      by: { id: `system:rollout:${rollout.id}` },
    });
    expect(await weights()).toEqual({ main: 90, v2: 10 });
    expect(await deployment()).toMatchObject({ revision: 2 });
    expect((await audited(rollout)).at(-1)).toMatchObject({
      action: "rollout.pause",
      actor: { id: `system:rollout:${rollout.id}` },
      reason,
      after: { state: "paused", step: 1 },
    });
    expect(ground.logged).toContainEqual(
      expect.objectContaining({ level: "warn", rollout: rollout.id, reason }),
    );
  });

  it("goes back to the revision before the rollout where that was asked for", async () => {
    const rollout = await started({ ...starving, onDeadline: "abort" });
    await pass(40);
    expect(await read(rollout)).toMatchObject({
      state: "aborted",
      stateReason: expect.stringMatching(/ 0 requests came to the new variant\. Gate error_rate: Only 0 /),
      deadlineMs: null,
      steps: [{ state: "left", requests: 0, verdicts: [{ verdict: "wait" }] }, { state: "ahead" }],
    });
    expect(await weights()).toEqual({ main: 100 });
    expect(await revision(3)).toMatchObject({ change: "rollback", restores: 1 });
    expect((await audited(rollout)).at(-1)).toMatchObject({ action: "rollout.abort" });
  });

  it("counts copies in a step of 0 %", async () => {
    const rollout = await started({ ...starving, steps: [{ weight: 0, minimumRequests: 50 }] });
    await pass(30);
    expect(await read(rollout)).toMatchObject({
      state: "paused",
      stateReason: expect.stringMatching(/0 copies came to the new variant\. The step needs 50\./),
    });
  });

  it("says so when it is the champion that gets no requests to compare with", async () => {
    const rollout = await started({
      steps: [{ weight: 99.9 }],
      gates: [{ signal: "error_rate_difference", max: 0.1, minimumRequests: 5 }],
      progressDeadlineMs: 30 * minuteMs,
    });
    await ask(rollout, "v2", 6);
    await pass(30);
    expect(await read(rollout)).toMatchObject({
      state: "paused",
      stateReason: expect.stringMatching(
        / 6 requests came to the new variant\. Gate error_rate_difference: Only 0 of the champion's requests so far; 5 are/,
      ),
    });
  });

  it("goes on at its deadline when its requests came just in time", async () => {
    const rollout = await started(starving);
    await ask(rollout, "v2", 5);
    await pass(40);
    expect(await read(rollout)).toMatchObject({ state: "completed" });
  });

  it("fails rather than waits when a gate can tell", async () => {
    const rollout = await started({
      ...starving,
      target: { model: "times", version: "3", name: "bad" },
      gates: [{ signal: "invalid_output_share", max: 0.01, minimumRequests: 5 }, ...gates],
      onFailure: "abort",
    });
    await ask(rollout, "bad", 20);
    await pass(40);
    expect(await read(rollout)).toMatchObject({ state: "aborted", steps: [{ state: "failed" }, {}] });
  });

  it("has a day beyond its minutes when nothing is said, or as long as it takes where that is said", async () => {
    const byDefault = await started({ steps: starving.steps, gates });
    expect(byDefault.steps.map((step) => step.progressDeadlineMs)).toEqual([86_400_000, null]);
    expect(byDefault.onDeadline).toBe("pause");
    await pass(24 * 60 + 9.9);
    expect(await read(byDefault)).toMatchObject({ state: "running" });
    await pass(0.1);
    expect(await read(byDefault)).toMatchObject({ state: "paused" });
    await act(byDefault, "abort");

    const patient = await started({ ...starving, progressDeadlineMs: null });
    expect(patient.deadlineMs).toBeNull();
    await pass(400 * 24 * 60);
    expect(await read(patient)).toMatchObject({ state: "running", deadlineMs: null });
  });

  it("has its own deadline in place of the rollout's", async () => {
    const rollout = await started({
      ...starving,
      steps: [
        { weight: 10, progressDeadlineMs: minuteMs },
        { weight: 20, progressDeadlineMs: null },
        { weight: 30 },
      ],
    });
    expect(rollout.steps.map((step) => step.progressDeadlineMs)).toEqual([
      minuteMs,
      null,
      30 * minuteMs,
      null,
    ]);
    await pass(1);
    expect(await read(rollout)).toMatchObject({ state: "paused", step: 1 });
    await act(rollout, "advance");
    await pass(10_000);
    expect(await read(rollout)).toMatchObject({ state: "running", step: 2 });
    await act(rollout, "advance");
    await pass(30);
    expect(await read(rollout)).toMatchObject({ state: "paused", step: 3 });
  });
});

describe("the clock of a step that waits", () => {
  it("gives it its whole wait again when it goes on after its deadline, and not its minutes", async () => {
    const rollout = await started(starving);
    await pass(40);
    await pass(500);
    const resumed = (await act(rollout, "resume")).body as { deadlineMs: number };
    expect(resumed).toMatchObject({ state: "running", stateReason: "resume it" });
    expect(resumed.deadlineMs).toBe(ground.clock() + 30 * minuteMs);
    await pass(29);
    expect(await read(rollout)).toMatchObject({ state: "running", step: 1 });
    await pass(1);
    const again = await read(rollout);
    expect(again).toMatchObject({ state: "paused" });
    expect(again.events.map(({ kind }) => kind)).toEqual(["paused", "resumed", "paused", "started"]);
    await act(rollout, "resume");
    await ask(rollout, "v2", 5);
    await tick();
    expect(await read(rollout)).toMatchObject({ state: "completed" });
  });

  it("stands while a person has it paused, and goes on from there", async () => {
    const rollout = await started(starving);
    await pass(25);
    await act(rollout, "pause");
    await pass(1000);
    expect(await read(rollout)).toMatchObject({ state: "paused", stateReason: "pause it", deadlineMs: null });
    await act(rollout, "resume");
    await pass(14);
    expect(await read(rollout)).toMatchObject({ state: "running" });
    await pass(1);
    expect(await read(rollout)).toMatchObject({ state: "paused", stateReason: /progressDeadlineMs/ });
  });

  it("begins anew with each step", async () => {
    const rollout = await started({ ...starving, steps: [{ weight: 10 }, { weight: 20 }] });
    await pass(29);
    await ask(rollout, "v2", 5);
    await tick();
    await pass(29);
    expect(await read(rollout)).toMatchObject({ state: "running", step: 2 });
    await pass(1);
    expect(await read(rollout)).toMatchObject({ state: "paused", step: 2 });
  });

  it("goes on at another instance after a restart", async () => {
    const rollout = await started(starving);
    await pass(35);
    const after = instanceOf(ground);
    ground.clock.advance(5 * minuteMs - 1);
    await tick(after);
    expect(await read(rollout)).toMatchObject({ state: "running" });
    ground.clock.advance(1);
    await tick(after);
    expect(await read(rollout)).toMatchObject({ state: "paused" });
    await after.close?.();
  });
});

it("is acted on once when several instances look at once", async () => {
  const rollout = await started(starving);
  const others = [1, 2, 3].map(() => instanceOf(ground));
  ground.clock.advance(40 * minuteMs);
  await Promise.all([tick(), ...others.map(tick)]);
  expect((await read(rollout)).events.map(({ kind }) => kind)).toEqual(["paused", "started"]);
  expect((await audited(rollout)).map(({ action }) => action)).toEqual(["rollout.start", "rollout.pause"]);
  expect(ground.logged.filter(({ msg }) => msg === "a rollout could not be looked at")).toEqual([]);
  for (const other of others) await other.close?.();
});
