import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../support/application.ts";
import { toldBy } from "../../support/events.ts";
import type { ServingGround } from "./ground.ts";
import { linearModel, lookUpModel, slowModel } from "./models.ts";
import { patient, rolloutGround, rolloutsThrough } from "./rollouts/rollouts-ground.ts";

let ground: ServingGround;
beforeAll(async () => {
  ground = await rolloutGround(() => 0);
  await ground.models.register("wide", { "model.onnx": linearModel([1, 1]) });
  await ground.models.register("slow", { "model.onnx": slowModel(400) });
});
afterAll(() => ground.close());

const send = (method: string, name: string, body?: object, headers = {}) =>
  call(ground.app, method, `/api/v1/deployments/${name}`, body, headers);
const serving = (version: number, model = "times") => ({
  variants: [{ name: "main", model, version: String(version), weight: 100 }],
});
const ask = (name: string, shape: readonly [number, number] = [1, 1]) => {
  const data = Array.from({ length: shape[0] * shape[1] }, () => 1);
  return call(ground.app, "POST", `/v2/models/${name}/infer`, {
    inputs: [{ name: "X", shape, datatype: "FP32", data }],
  });
};

describe("predictionServed", () => {
  const told = () => toldBy(ground, "prediction.served");
  const durationMs = expect.any(Number);

  it("is told once for each request with who answered it, and not for a shadow's copy", async () => {
    let copies = 0;
    const end = ground.serving.onPrediction(({ shadow }) => {
      if (shadow) copies++;
    });
    const shadows = [{ name: "next", model: "times", version: "2", fraction: 1 }];
    await send("PUT", "watched", { ...serving(1), shadows });
    const before = told().length;
    expect((await ask("watched", [3, 1])).status).toBe(200);
    expect((await ask("watched", [1, 2])).status).toBe(400);
    expect((await ask("wide", [2, 2])).status).toBe(200);
    expect((await ask("nobody")).status).toBe(404);
    await expect.poll(() => copies, patient).toBe(1);
    await expect.poll(() => told().length - before, patient).toBe(3);
    end();
    const watched = { deployment: "watched", revision: 1, variant: "main" };
    const direct = { deployment: null, revision: null, variant: null };
    expect(told().slice(before)).toEqual([
      { ...watched, rows: 3, durationMs, outcome: "ok" },
      { ...watched, rows: 0, durationMs, outcome: "client_error" },
      { ...direct, rows: 2, durationMs, outcome: "ok" },
    ]);
  });

  it("blames the server for what is not the caller's fault", async () => {
    await send("PUT", "late", { ...serving(1, "slow"), timeoutMs: 100 });
    const before = told().length;
    expect((await ask("late", [600, 600])).status).toBe(504);
    await expect.poll(() => told().length - before, patient).toBe(1);
    const late = { deployment: "late", revision: 1, variant: "main", rows: 0 };
    expect(told().slice(before)).toEqual([{ ...late, durationMs, outcome: "server_error" }]);
  });
});

describe("a run that fails on inputs which the signature allows", () => {
  it("is counted as the version's failure, and what the signature refuses as the caller's", async () => {
    await ground.models.register("listed", { "model.onnx": lookUpModel([1, 2, 3]) });
    await send("PUT", "lookup", serving(1, "listed"));
    const kinds: (string | undefined)[] = [];
    const end = ground.serving.onPrediction(({ errorKind }) => kinds.push(errorKind));
    const asked = async (datatype: string, data: readonly number[]) => {
      const inputs = [{ name: "X", shape: [data.length], datatype, data }];
      return (await call(ground.app, "POST", "/v2/models/lookup/infer", { inputs })).status;
    };
    expect(await asked("INT64", [0, 2])).toBe(200);
    const failed = await asked("INT64", [99]);
    expect([400, 422]).toContain(failed);
    expect(await asked("FP32", [0])).toBe(400);
    await expect.poll(() => kinds, patient).toEqual([undefined, "run_failed", "invalid"]);
    end();
    const [traffic] = await ground.serving.trafficOf("lookup", {});
    expect(traffic?.tally.errors).toEqual({ run_failed: 1, invalid: 1 });
  });
});

describe("a prediction that fails through no fault of its caller", () => {
  it("is logged as a failed request with who was to answer, who is named in its headers too", async () => {
    await send("PUT", "slowly", { ...serving(1, "slow"), timeoutMs: 100 });
    const before = ground.logged.length;
    const data = Array.from({ length: 360_000 }, () => 1);
    const body = { inputs: [{ name: "X", shape: [600, 600], datatype: "FP32", data }] };
    for (const [path, sent] of [
      ["/v2/models/slowly/infer", body],
      [
        "/serving/slowly/invocations",
        { inputs: { X: Array.from({ length: 600 }, () => data.slice(0, 600)) } },
      ],
    ] as const) {
      const answer = await call(ground.app, "POST", path, sent);
      expect([answer.status, path]).toEqual([504, path]);
      expect(answer.headers.get("ketline-deployment")).toBe("slowly");
      expect(answer.headers.get("ketline-model-version")).toBe("1");
    }
    const failed = ground.logged.slice(before).filter(({ msg }) => msg === "request failed");
    expect(failed.map(({ route }) => route)).toEqual([
      "/v2/models/:model/infer",
      "/serving/:deployment/invocations",
    ]);
  });
});

describe("deploymentChanged", () => {
  const told = (name: string) =>
    toldBy(ground, "deployment.changed").filter(({ deployment }) => deployment === name);

  it("is told of each revision with who made it and why, and of nothing that was refused", async () => {
    const name = "changed";
    await send("PUT", name, { ...serving(1), reason: "first" });
    expect((await send("PUT", name, serving(2))).status).toBe(412);
    expect((await send("PATCH", name, serving(9), { "if-match": '"1"' })).status).toBe(404);
    expect((await send("POST", `${name}/rollback`, {})).status).toBe(409);
    await send("PATCH", name, { ...serving(2), reason: "second" }, { "if-match": '"1"' });
    await send("POST", `${name}/rollback`, { reason: "third" });
    await send("DELETE", `${name}?reason=fourth`);
    expect((await send("DELETE", name)).status).toBe(404);
    const actor = "local";
    expect(told(name)).toEqual([
      { deployment: name, revision: 1, change: "create", actor, reason: "first" },
      { deployment: name, revision: 2, change: "change", actor, reason: "second" },
      { deployment: name, revision: 3, change: "rollback", actor, reason: "third" },
      { deployment: name, revision: 4, change: "delete", actor, reason: "fourth" },
    ]);
  });

  it("is told once of each step of a rollout, and of nothing while it stays at one", async () => {
    const name = "rolled";
    const { start, started, pass, tick } = rolloutsThrough(() => ({ ground, name }));
    await send("PUT", name, { ...serving(1), reason: "first" });
    const { id } = await started();
    expect((await start({})).status).toBe(409);
    await tick();
    await pass(10);
    await pass(10);
    await pass(10);
    const steps = told(name).map(({ revision, change, actor }) => [revision, change, actor]);
    expect(steps).toEqual([
      [1, "create", "local"],
      [2, "change", `system:rollout:${id}`],
      [3, "change", `system:rollout:${id}`],
      [4, "change", `system:rollout:${id}`],
    ]);
  });
});
