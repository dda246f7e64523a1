import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RolloutDetail } from "../../../../models/serving/rollouts/schemas.ts";
import { call } from "../../../support/application.ts";
import type { ServingGround } from "../ground.ts";
import { instanceOf, minuteMs, patient, rolloutGround, rolloutsThrough } from "./rollouts-ground.ts";

let ground: ServingGround;
let drawn = 0;
let name = "";
let path = "";
const { start, started, read, act, tick, pass, deployment, weights, revision, ask, audited } =
  rolloutsThrough(() => ({ ground, name }));

beforeAll(async () => {
  ground = await rolloutGround(() => (drawn++ % 100) / 100);
});
beforeEach(async ({ task }) => {
  drawn = 0;
  name = `flights-${task.id}`;
  path = `/api/v1/deployments/${name}`;
  const variants = [{ name: "main", model: "times", version: "1", weight: 100 }];
  await call(ground.app, "PUT", path, { variants, timeoutMs: 5000 });
});
afterAll(() => ground.close());

/** A rollout that pauses when its gate fails, of a version whose twenty answers are all NaN. */
async function pausingAtNaN() {
  const rollout = await started({
    target: { model: "times", version: "3", name: "bad" },
    gates: [{ signal: "invalid_output_share", max: 0.01, minimumRequests: 10 }],
    onFailure: "pause",
  });
  await ask(rollout, "bad", 20);
  return rollout;
}

describe("a rollout", () => {
  it("goes from copies over its steps to 100 %, and each step is a revision with its author and reason", async () => {
    const gates = [
      { signal: "agreement", min: 0.9, minimumRequests: 20 },
      { signal: "error_rate", max: 0.05, minimumRequests: 20 },
      { signal: "error_rate_difference", max: 0.05, minimumRequests: 20 },
      { signal: "latency_p95_ratio", max: 1000, minimumRequests: 20 },
      { signal: "invalid_output_share", max: 0, minimumRequests: 20 },
    ];
    const rollout = await started({
      target: { model: "times", version: "4", name: "canary" },
      steps: [
        { weight: 0, minutes: 5 },
        { weight: 10, minutes: 10 },
        { weight: 50, minutes: 10 },
      ],
      gates,
    });
    expect(rollout).toMatchObject({
      state: "running",
      step: 1,
      champion: "main",
      baseRevision: 1,
      revision: 2,
    });
    expect(rollout.steps.map(({ weight }) => weight)).toEqual([0, 10, 50, 100]);
    expect((await call(ground.app, "GET", path)).body).toMatchObject({
      variants: [{ name: "main", weight: 100 }],
      shadows: [{ name: "canary", version: "4", fraction: 1 }],
      timeoutMs: 5000,
    });
    await ask(rollout, "main", 20);
    await expect.poll(async () => (await read(rollout)).steps[0]?.requests, patient).toBe(20);
    await pass(5);
    expect(await weights()).toEqual({ main: 90, canary: 10 });
    const copied = (await read(rollout)).steps[0];
    expect(copied?.verdicts.map(({ signal, verdict }) => [signal, verdict])).toEqual([
      ["agreement", "pass"],
      ["error_rate", "pass"],
      ["invalid_output_share", "pass"],
    ]);
    expect(copied?.verdicts[0]?.sentence).toMatch(
      /^The agreement .* in output "Y" is 100 % over 20 requests/,
    );
    for (const next of [{ main: 50, canary: 50 }, { canary: 100 }]) {
      await ask(rollout, "main", 20);
      await ask(rollout, "canary", 20);
      await pass(10);
      expect(await weights()).toEqual(next);
    }
    const done = await read(rollout);
    expect(done).toMatchObject({ state: "completed", step: 4, revision: 5 });
    expect(done.endedMs).not.toBeNull();
    expect(done.steps.map(({ state, revision }) => [state, revision])).toEqual([
      ["passed", 2],
      ["passed", 3],
      ["passed", 4],
      ["passed", 5],
    ]);
    expect(done.events.map(({ kind }) => kind)).toEqual(["completed", "stepped", "stepped", "started"]);
    expect(await revision(4)).toMatchObject({
      rollout: rollout.id,
      author: { id: `system:rollout:${rollout.id}`, name: `rollout started by ${done.startedBy.name}` },
      reason: expect.stringMatching(/^Step 3 of 4, 50 % for "canary": Step 2 passed\. The share of requests/),
    });
    await pass(10);
    expect(await deployment()).toMatchObject({ revision: 5 });
  });

  it("stays at its step until its time is over, its requests are there and its gates have enough", async () => {
    const rollout = await started({
      steps: [{ weight: 10, minutes: 10, minimumRequests: 8 }],
      gates: [{ signal: "error_rate", max: 0.1, minimumRequests: 5 }],
    });
    await ask(rollout, "v2", 4);
    await pass(10);
    const waiting = (await read(rollout)).steps[0];
    expect(waiting?.verdicts).toMatchObject([
      {
        verdict: "wait",
        requests: 4,
        sentence: "Only 4 of the new variant's requests so far; 5 are needed.",
      },
    ]);
    await ask(rollout, "v2", 1);
    await pass(1);
    expect((await read(rollout)).steps[0]).toMatchObject({
      state: "current",
      verdicts: [{ verdict: "pass" }],
    });
    await ask(rollout, "v2", 3);
    await pass(0);
    expect(await read(rollout)).toMatchObject({ state: "completed" });
  });

  it("asks for failures and for invalid outputs when no gates are given, where its steps can judge them", async () => {
    const { gates } = await started({ steps: [{ weight: 0 }], gates: undefined });
    expect(gates).toEqual([
      { signal: "error_rate_difference", max: 0.01, minimumRequests: 100 },
      { signal: "invalid_output_share", max: 0.01, minimumRequests: 100 },
    ]);
  });

  it("does not go on before its time", async () => {
    const rollout = await started();
    await pass(9.9);
    expect(await read(rollout)).toMatchObject({ state: "running", step: 1 });
    await pass(0.1);
    expect(await read(rollout)).toMatchObject({ state: "running", step: 2 });
  });

  it.each([
    {
      what: "a version whose answers are NaN",
      target: { model: "times", version: "3", name: "bad" },
      gate: { signal: "invalid_output_share", max: 0.01, minimumRequests: 10 },
      sentence: /share of answers with NaN or infinities, most in output "Y", is 100 % over 20 requests/,
    },
    {
      what: "a version that refuses what the champion takes",
      target: { model: "other", version: "1", name: "bad" },
      gate: { signal: "error_rate_difference", max: 0.01, minimumRequests: 10 },
      sentence: /share of failed requests less the champion's is 100 % over 20 requests/,
    },
  ])("takes $what back as soon as the gate fails", async ({ target, gate, sentence }) => {
    const rollout = await started({ target, gates: [gate] });
    await ask(rollout, "main", 20);
    await ask(rollout, "bad", 20);
    await tick();
    const ended = await read(rollout);
    expect(ended).toMatchObject({ state: "aborted", stateReason: expect.stringMatching(sentence) });
    expect(ended.steps[0]).toMatchObject({ state: "failed", verdicts: [{ verdict: "fail", value: 1 }] });
    expect(await weights()).toEqual({ main: 100 });
    expect(await revision(2)).toMatchObject({ health: "unhealthy" });
    expect(await revision(3)).toMatchObject({ change: "rollback", restores: 1 });
  });

  it("judges agreement on copies and takes back a version that answers otherwise", async () => {
    const rollout = await started({
      steps: [{ weight: 0, minutes: 1, shadowFraction: 0.2 }],
      gates: [{ signal: "agreement", min: 0.95, minimumRequests: 5 }],
    });
    await ask(rollout, "main", 40);
    await expect.poll(async () => (await read(rollout)).steps[0]?.requests, patient).toBe(20);
    await tick();
    expect(await read(rollout)).toMatchObject({
      state: "aborted",
      steps: [{ state: "failed", verdicts: [{ value: 0 }] }, { state: "ahead" }],
    });
  });

  it("pauses at a failed gate where that was asked for, and leaves the traffic as it is", async () => {
    const rollout = await pausingAtNaN();
    await tick();
    await tick();
    const seen = await read(rollout);
    expect(seen).toMatchObject({
      state: "paused",
      endedMs: null,
      stateReason: /Gate invalid_output_share failed/,
    });
    expect(seen.events.map(({ kind }) => kind)).toEqual(["paused", "started"]);
    expect(await weights()).toEqual({ main: 90, bad: 10 });
  });

  it("does not count the time for which it was paused", async () => {
    const rollout = await started();
    await pass(6);
    expect((await act(rollout, "pause")).body).toMatchObject({ state: "paused", stateReason: "pause it" });
    await pass(60);
    expect((await act(rollout, "resume")).body).toMatchObject({ state: "running" });
    await pass(3);
    expect(await read(rollout)).toMatchObject({ step: 1 });
    await pass(1);
    expect(await read(rollout)).toMatchObject({ step: 2 });
  });

  it("is promoted by hand, to the next step or to the end, by whoever does it", async () => {
    const rollout = await started({ gates: [{ signal: "error_rate", max: 0.1 }] });
    expect((await act(rollout, "advance", { fromStep: 1 })).body).toMatchObject({
      state: "running",
      step: 2,
    });
    expect(await weights()).toEqual({ main: 50, v2: 50 });
    expect((await revision(3)).author).not.toMatchObject({ id: expect.stringMatching(/^system:rollout/) });
    expect(await act(rollout, "advance", { fromStep: 1 })).toMatchObject({ status: 409, body: { step: 2 } });
    await act(rollout, "abort");
    const other = await started();
    await act(other, "pause");
    const done = await act(other, "advance", { complete: true });
    expect(done.body).toMatchObject({
      state: "completed",
      steps: [{ state: "left" }, { state: "ahead" }, { state: "passed" }],
    });
    expect(await weights()).toEqual({ v2: 100 });
  });

  it("is aborted by hand to the revision before it, and the next one may begin", async () => {
    const rollout = await started();
    await act(rollout, "advance");
    expect((await act(rollout, "abort")).body).toMatchObject({ state: "aborted", stateReason: "abort it" });
    expect(await weights()).toEqual({ main: 100 });
    expect(await revision(4)).toMatchObject({ change: "rollback", restores: 1, reason: "abort it" });
    expect([await revision(2), await revision(3)]).toMatchObject([
      { health: "unhealthy" },
      { health: "unhealthy" },
    ]);
    for (const action of ["pause", "resume", "abort", "advance"]) {
      expect(await act(rollout, action)).toMatchObject({ status: 409, body: { detail: /is aborted/ } });
    }
    await started();
  });

  it("is superseded by a change of somebody else, which stands", async () => {
    const rollout = await started();
    const variants = [{ name: "main", model: "times", version: "2", weight: 100 }];
    await call(ground.app, "PATCH", path, { variants, reason: "by hand" }, { "if-match": "*" });
    expect(await read(rollout)).toMatchObject({
      state: "superseded",
      steps: [{ state: "left" }, { state: "ahead" }, { state: "ahead" }],
      stateReason: expect.stringMatching(/^The deployment was changed by .* \(revision 3\): by hand$/),
    });
    await pass(60);
    expect(await deployment()).toMatchObject({ revision: 3, variants });
  });

  it("is superseded when the deployment is deleted, and stays readable", async () => {
    const rollout = await started();
    await act(rollout, "pause");
    await call(ground.app, "DELETE", path);
    await pass(60);
    expect(await read(rollout)).toMatchObject({ state: "superseded" });
    expect((await call(ground.app, "GET", path)).status).toBe(404);
  });

  it("is aborted by a rollback without a target, which goes back behind all its steps", async () => {
    const rollout = await started();
    await act(rollout, "advance");
    // As monitoring does in the bake time of a revision.
    const by = { actor: ground.actor, reason: "error rate", expectedRevision: 3 };
    await ground.serving.rollback(name, by);
    expect(await read(rollout)).toMatchObject({
      state: "aborted",
      stateReason: /rolled back by .*error rate/,
    });
    expect(await weights()).toEqual({ main: 100 });
    await pass(60);
    expect(await deployment()).toMatchObject({ revision: 4 });
  });

  it("is undone as a whole after its end, but not together with the one before", async () => {
    await act(await started(), "advance", { complete: true });
    const second = await started({ target: { model: "times", version: "4" } });
    await act(second, "advance");
    await act(second, "advance");
    expect(await weights()).toEqual({ v4: 100 });
    await call(ground.app, "POST", `${path}/rollback`, {});
    expect(await weights()).toEqual({ v2: 100 });
    await call(ground.app, "POST", `${path}/rollback`, {});
    expect(await weights()).toEqual({ main: 100 });
  });

  it("takes a variant up where it is, and the others share the rest as before", async () => {
    const variants = [
      { name: "a", model: "times", version: "1", weight: 60 },
      { name: "b", model: "times", version: "2", weight: 10 },
      { name: "c", model: "times", version: "4", weight: 30 },
    ];
    await call(ground.app, "PATCH", path, { variants }, { "if-match": "*" });
    const rollout = await started({ target: { variant: "b" }, steps: [{ weight: 40, minutes: 1 }] });
    expect(rollout.champion).toBe("a");
    const { variants: now } = (await call(ground.app, "GET", path)).body as { variants: object[] };
    expect(now).toMatchObject([
      { name: "a", weight: 40 },
      { name: "b", weight: 40 },
      { name: "c", weight: 20 },
    ]);
    await pass(1);
    expect(await weights()).toEqual({ b: 100 });
  });

  it("makes a shadow a variant", async () => {
    const shadows = [{ name: "next", model: "times", version: "2", fraction: 0.1 }];
    await call(ground.app, "PATCH", path, { shadows }, { "if-match": "*" });
    await started({ target: { variant: "next" }, steps: [{ weight: 20, minutes: 1 }] });
    expect((await call(ground.app, "GET", path)).body).toMatchObject({
      variants: [
        { name: "main", weight: 80 },
        { name: "next", version: "2", weight: 20 },
      ],
      shadows: [],
    });
  });

  it("takes a step once when several instances look at once", async () => {
    const rollout = await started();
    const others = [1, 2, 3].map(() => instanceOf(ground));
    ground.clock.advance(10 * minuteMs);
    await Promise.all([tick(), ...others.map(tick)]);
    expect(await read(rollout)).toMatchObject({ step: 2, revision: 3 });
    expect(await deployment()).toMatchObject({ revision: 3 });
    expect(ground.logged.filter(({ msg }) => msg === "a rollout could not be looked at")).toEqual([]);
    for (const other of others) await other.close?.();
  });

  it("goes on at another instance after a restart", async () => {
    const rollout = await started();
    await pass(4);
    const after = instanceOf(ground);
    ground.clock.advance(6 * minuteMs);
    await tick(after);
    expect(await read(rollout)).toMatchObject({ step: 2 });
    await after.close?.();
  });

  it("waits for a person when a step cannot be served", async () => {
    ground.models.alias("times", "next", 2);
    const rollout = await started({ target: { model: "times", alias: "next" } });
    ground.models.alias("times", "next", 99);
    await pass(10);
    expect(await read(rollout)).toMatchObject({
      state: "paused",
      stateReason: expect.stringMatching(/^It could not go on\. .*alias "next"/),
    });
  });

  it("counts nothing of the version before when its alias has moved", async () => {
    const alias = `next-${name}`;
    ground.models.alias("times", alias, 2);
    const gate = { signal: "error_rate", max: 0.1, minimumRequests: 5 };
    const rollout = await started({ target: { model: "times", alias, name: "next" }, gates: [gate] });
    await ask(rollout, "next", 5);
    expect((await read(rollout)).steps[0]).toMatchObject({ requests: 5, verdicts: [{ verdict: "pass" }] });
    ground.models.alias("times", alias, 4);
    await pass(10);
    expect(await read(rollout)).toMatchObject({
      step: 1,
      steps: [{ requests: 0, verdicts: [{ verdict: "wait" }] }, {}, {}],
    });
    await ask(rollout, "next", 5);
    await tick();
    expect(await read(rollout)).toMatchObject({ step: 2, steps: [{ state: "passed", requests: 5 }, {}, {}] });
  });

  it("compares with the champion's version of now when its alias has moved", async () => {
    const alias = `stable-${name}`;
    ground.models.alias("times", alias, 1);
    const variants = [{ name: "main", model: "times", alias, weight: 100 }];
    await call(ground.app, "PATCH", path, { variants }, { "if-match": "*" });
    const rollout = await started({
      gates: [{ signal: "error_rate_difference", max: 0.5, minimumRequests: 5 }],
    });
    await ask(rollout, "main", 5);
    await ask(rollout, "v2", 5);
    const verdict = async () => (await read(rollout)).steps[0]?.verdicts[0];
    await expect.poll(verdict, patient).toMatchObject({ verdict: "pass", championRequests: 5 });
    ground.models.alias("times", alias, 4);
    ground.settle();
    expect(await verdict()).toMatchObject({ verdict: "wait", championRequests: 0 });
  });

  it("is listed, newest first, page by page", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) {
      const rollout = await started();
      ids.unshift(rollout.id);
      await act(rollout, "abort");
      ground.clock.advance(1);
    }
    const first = (await call(ground.app, "GET", `${path}/rollouts?limit=2`)).body as {
      items: RolloutDetail[];
      nextCursor: string;
    };
    expect(first.items.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    const next = await call(ground.app, "GET", `${path}/rollouts?limit=2&cursor=${first.nextCursor}`);
    expect(next.body).toMatchObject({ items: [{ id: ids[2] }] });
    expect(next.body).not.toHaveProperty("nextCursor");
    expect((await call(ground.app, "GET", "/api/v1/deployments/none/rollouts")).status).toBe(404);
    expect((await call(ground.app, "GET", `${path}/rollouts?cursor=x`)).status).toBe(400);
  });

  it("is written to the audit log with each thing that is done to it, by a person or by itself", async () => {
    const rollout = await started();
    await pass(10);
    await act(rollout, "pause");
    await act(rollout, "resume");
    await act(rollout, "abort");
    const entries = await audited(rollout);
    expect(entries).toMatchObject([
      { action: "rollout.start", after: { state: "running", step: 1, revision: 2 } },
      {
        action: "rollout.advance",
        actor: { id: `system:rollout:${rollout.id}` },
        after: { state: "running", step: 2, revision: 3 },
      },
      { action: "rollout.pause", reason: "pause it", after: { state: "paused", step: 2 } },
      { action: "rollout.resume", after: { state: "running", step: 2 } },
      { action: "rollout.abort", after: { state: "aborted", step: 2 } },
    ]);
  });

  it("tells the audit log and the log of a gate that failed", async () => {
    const rollout = await pausingAtNaN();
    await tick();
    const { stateReason } = await read(rollout);
    expect((await audited(rollout)).at(-1)).toMatchObject({
      action: "rollout.pause",
      actor: { id: `system:rollout:${rollout.id}` },
      reason: stateReason,
    });
    expect(ground.logged).toContainEqual(
      expect.objectContaining({ level: "warn", rollout: rollout.id, reason: stateReason }),
    );
  });

  it("names the gate that failed also when it cannot be taken back", async () => {
    ground.models.alias("times", "stable", 1);
    const variants = [{ name: "main", model: "times", alias: "stable", weight: 100 }];
    await call(ground.app, "PATCH", path, { variants }, { "if-match": "*" });
    const rollout = await started({
      target: { model: "times", version: "3", name: "bad" },
      gates: [{ signal: "invalid_output_share", max: 0.01, minimumRequests: 10 }],
    });
    await ask(rollout, "bad", 20);
    ground.models.alias("times", "stable", 99);
    ground.settle();
    await tick();
    expect(await read(rollout)).toMatchObject({
      state: "paused",
      stateReason: expect.stringMatching(
        /^Gate invalid_output_share failed at 10 %\. .* It could not be taken back\. Revision 2 of .*alias "stable"/,
      ),
    });
  });
});

describe("a rollout that cannot be", () => {
  it.each<[string, object, number, RegExp]>([
    ["no steps", { steps: [] }, 400, /steps/],
    [
      "steps that fall",
      { steps: [{ weight: 50 }, { weight: 10 }] },
      400,
      /steps\[1\]\.weight is 10; .* more than 50/,
    ],
    ["a weight beyond 100", { steps: [{ weight: 101 }] }, 400, /100/],
    ["time at 100 %", { steps: [{ weight: 100, minutes: 5 }] }, 400, /where the rollout ends/],
    [
      "copies beside answers",
      { steps: [{ weight: 5, shadowFraction: 1 }] },
      400,
      /shadowFraction is for steps/,
    ],
    ["a signal that is not there", { gates: [{ signal: "drift", max: 1 }] }, 400, /signal/],
    ["a gate without a limit", { gates: [{ signal: "error_rate" }] }, 400, /max/],
    [
      "agreement without copies",
      { gates: [{ signal: "agreement", min: 1 }] },
      400,
      /begin with a step of weight 0/,
    ],
    [
      "a comparison of answers where only copies are sent",
      { steps: [{ weight: 0 }], gates: [{ signal: "latency_p95_ratio", max: 2 }] },
      400,
      /gate on latency_p95_ratio needs answers to judge: add a step of weight more than 0 and less than 100/,
    ],
    [
      "a gate and no step before 100 %",
      { steps: [{ weight: 100 }], gates: [{ signal: "error_rate", max: 0.1 }] },
      400,
      /gate on error_rate needs a step of weight less than 100/,
    ],
    [
      "a target with both",
      { target: { model: "times", version: "2", alias: "a" } },
      400,
      /a target is either/,
    ],
    [
      "a variant that is not there",
      { target: { variant: "green" } },
      400,
      /no variant or shadow "green"; it has "main"/,
    ],
    ["a version that is not there", { target: { model: "times", version: "9" } }, 404, /no version 9/],
    [
      "a name that is taken",
      { target: { model: "times", version: "2", name: "main" } },
      409,
      /has a variant or shadow/,
    ],
    ["a variant that answers all", { target: { variant: "main" } }, 409, /answers all requests already/],
    ["an action that is not there", { onFailure: "explode" }, 400, /onFailure/],
    [
      "a deadline in seconds",
      { progressDeadlineMs: 3600 },
      400,
      /progressDeadlineMs is 3600: it is from 60000 \(a minute\) to 2592000000 \(30 days\), in milliseconds, or null/,
    ],
    [
      "a deadline in words",
      { steps: [{ weight: 5, progressDeadlineMs: "1h" }] },
      400,
      /steps\.0\.progressDeadlineMs is "1h": it is from 60000/,
    ],
    [
      "a deadline at 100 %",
      { steps: [{ weight: 5 }, { weight: 100, progressDeadlineMs: 60_000 }] },
      400,
      /steps\[1\]\.progressDeadlineMs is 60000, but .* nothing waits: leave it out/,
    ],
    ["a way out that is not there", { onDeadline: "rollback" }, 400, /onDeadline is "rollback".*"pause"/],
  ])("is refused with %s", async (_, body, status, detail) => {
    const answer = await start(body);
    expect(answer).toMatchObject({ status, body: { detail: expect.stringMatching(detail) } });
    expect(await deployment()).toMatchObject({ revision: 1 });
  });

  it("is refused while another one is active", async () => {
    const { id } = await started();
    expect(await start({ target: { model: "times", version: "4" } })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining(`Rollout ${id} of "${name}" is running`) },
    });
  });

  it("is refused for all but one of those who start it at once", async () => {
    const answers = await Promise.all(
      [1, 2, 3].map((i) => start({ target: { model: "times", version: "2", name: `v${i}` } })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    expect(await deployment()).toMatchObject({ revision: 2 });
  });

  it("is not found", async () => {
    const id = "00000000-0000-4000-8000-000000000000";
    expect((await call(ground.app, "GET", `${path}/rollouts/${id}`)).status).toBe(404);
    expect((await call(ground.app, "POST", `${path}/rollouts/${id}/pause`, { reason: "x" })).status).toBe(
      404,
    );
    expect((await call(ground.app, "GET", `${path}/rollouts/unknown`)).status).toBe(400);
    expect(
      (
        await call(ground.app, "POST", "/api/v1/deployments/none/rollouts", {
          target: { model: "times", version: "2" },
          steps: [{ weight: 1 }],
        })
      ).status,
    ).toBe(404);
  });
});
