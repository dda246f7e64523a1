import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Prediction } from "../../../../models/serving/index.ts";
import { call } from "../../../support/application.ts";
import { type ServingGround, servingGround } from "../ground.ts";
import { linearModel, sumModel } from "../models.ts";

let ground: ServingGround;
beforeAll(async () => {
  let drawn = 0;
  ground = await servingGround({ random: () => (drawn++ % 100) / 100 });
  for (let version = 1; version <= 4; version++) {
    await ground.models.register("times", { "model.onnx": linearModel([version]) });
  }
  await ground.models.register("broken", { "model.onnx": "nothing" });
  await ground.models.register("other", { "model.onnx": sumModel() });
});
afterAll(() => ground.close());

const put = (name: string, body: unknown, headers = {}) =>
  call(ground.app, "PUT", `/api/v1/deployments/${name}`, body, headers);
const patch = (name: string, body: unknown, headers = {}) =>
  call(ground.app, "PATCH", `/api/v1/deployments/${name}`, body, headers);
const rollback = (name: string, body: unknown = {}, headers = {}) =>
  call(ground.app, "POST", `/api/v1/deployments/${name}/rollback`, body, headers);
const only = (version: number) => ({
  variants: [{ name: "main", model: "times", version: String(version), weight: 100 }],
});
const split = (a: number, b: number) => ({
  variants: [
    { name: "blue", model: "times", version: "1", weight: a },
    { name: "green", model: "times", version: "2", weight: b },
  ],
});
const ask = async (name: string, headers: Record<string, string> = {}, value = 1) => {
  const inputs = [{ name: "X", shape: [1, 1], datatype: "FP32", data: [value] }];
  return call(ground.app, "POST", `/v2/models/${name}/infer`, { inputs }, headers);
};
const firstValue = (answer: { body: unknown }) =>
  (answer.body as { outputs: { data: number[] }[] }).outputs[0]?.data[0];

describe("a deployment", () => {
  it("is created, answers, and says so in the headers", async () => {
    const created = await put("first", { ...only(2), reason: "to begin with" });
    expect(created.status).toBe(201);
    expect(created.headers.get("etag")).toBe('"1"');
    expect(created.body).toMatchObject({
      name: "first",
      revision: 1,
      variants: [{ name: "main", model: "times", version: "2", weight: 100 }],
      shadows: [],
      sticky: null,
      timeoutMs: 10_000,
      reason: "to begin with",
    });
    const answer = await ask("first");
    expect(firstValue(answer)).toBe(2);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "ketline-deployment": "first",
      "ketline-revision": "1",
      "ketline-variant": "main",
      "ketline-model": "times",
      "ketline-model-version": "2",
    });
    expect((await call(ground.app, "GET", "/v2/models/first")).body).toMatchObject({
      name: "first",
      versions: ["2"],
    });
    expect((await call(ground.app, "GET", "/serving/first/ping")).status).toBe(200);
  });

  it("stands before a registered model of the same name, whose versions stay within reach", async () => {
    await put("times", only(3));
    expect(firstValue(await ask("times"))).toBe(3);
    const inputs = [{ name: "X", shape: [1, 1], datatype: "FP32", data: [1] }];
    const direct = await call(ground.app, "POST", "/v2/models/times/versions/1/infer", { inputs });
    expect(firstValue(direct)).toBe(1);
    expect(direct.headers.get("ketline-deployment")).toBeNull();
    await call(ground.app, "DELETE", "/api/v1/deployments/times");
  });

  it("follows an alias when it moves", async () => {
    ground.models.alias("times", "champion", 1);
    ground.settle();
    await put("following", { variants: [{ name: "main", model: "times", alias: "champion", weight: 100 }] });
    expect(firstValue(await ask("following"))).toBe(1);
    ground.models.alias("times", "champion", 4);
    ground.settle();
    const answer = await ask("following");
    expect(firstValue(answer)).toBe(4);
    expect(answer.headers.get("ketline-model-version")).toBe("4");
  });

  it.each<[string, unknown, string]>([
    ["weights that do not sum to 100", split(50, 40), "sum to 90"],
    ["no variants", { variants: [] }, "variants"],
    [
      "a version and an alias at once",
      { variants: [{ ...only(1).variants[0], alias: "a" }] },
      "either version or alias",
    ],
    [
      "two variants of one name",
      { variants: [...split(50, 50).variants.slice(0, 1), { ...split(0, 50).variants[0], weight: 50 }] },
      'called "blue"',
    ],
    ["a version that is not there", only(9), "no version 9"],
    [
      "a model that is not there",
      { variants: [{ name: "a", model: "none", version: "1", weight: 100 }] },
      'model "none"',
    ],
    [
      "an alias that is not there",
      { variants: [{ name: "a", model: "times", alias: "none", weight: 100 }] },
      'alias "none"',
    ],
    [
      "a version that cannot be served",
      { variants: [{ name: "a", model: "broken", version: "1", weight: 100 }] },
      "cannot be served",
    ],
    ["an unknown member", { ...only(1), speed: 9 }, "speed"],
  ])("is refused with %s", async (_, body, message) => {
    const answer = await put("refused", body);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect((answer.body as { detail: string }).detail).toContain(message);
    expect((await call(ground.app, "GET", "/api/v1/deployments/refused")).status).toBe(404);
  });

  it("is deleted, keeps its history, and counts on when the name is used again", async () => {
    await put("passing", only(1));
    expect((await call(ground.app, "DELETE", "/api/v1/deployments/passing?reason=done")).status).toBe(204);
    expect((await ask("passing")).status).toBe(404);
    expect((await call(ground.app, "DELETE", "/api/v1/deployments/passing")).status).toBe(404);
    const again = await put("passing", only(2));
    expect(again.body).toMatchObject({ revision: 3 });
    const { body } = await call(ground.app, "GET", "/api/v1/deployments/passing/revisions");
    expect((body as { items: { change: string; reason: string }[] }).items).toMatchObject([
      { revision: 3, change: "create" },
      { revision: 2, change: "delete", reason: "done" },
      { revision: 1, change: "create" },
    ]);
  });
});

describe("changes", () => {
  it("need the revision that was read, and lose nobody's", async () => {
    await put("shared", split(100, 0));
    expect((await put("shared", split(50, 50))).status).toBe(412);
    expect((await patch("shared", { timeoutMs: 500 })).status).toBe(412);
    expect((await patch("shared", { timeoutMs: 500 }, { "if-match": '"1"' })).body).toMatchObject({
      revision: 2,
      timeoutMs: 500,
      variants: split(100, 0).variants,
    });
    const late = await put("shared", split(50, 50), { "if-match": '"1"' });
    expect(late.status).toBe(412);
    expect(late.body).toMatchObject({ currentRevision: 2 });
    expect((await put("shared", split(50, 50), { "if-match": "*" })).body).toMatchObject({ revision: 3 });
    expect((await put("shared", split(50, 50), { "if-match": "three" })).status).toBe(400);
  });

  it("of sixteen writers all arrive", async () => {
    await put("busy", { ...only(1), timeoutMs: 1000 });
    const write = async (writer: number) => {
      for (;;) {
        const current = await call(ground.app, "GET", "/api/v1/deployments/busy");
        const { timeoutMs } = current.body as { timeoutMs: number };
        const answer = await patch(
          "busy",
          { timeoutMs: timeoutMs + 1, reason: `writer ${writer}` },
          { "if-match": current.headers.get("etag") ?? "" },
        );
        if (answer.status === 200) return;
        expect(answer.status).toBe(412);
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, writer) => write(writer)));
    const { body } = await call(ground.app, "GET", "/api/v1/deployments/busy");
    expect(body).toMatchObject({ revision: 17, timeoutMs: 1016 });
    const history = await call(ground.app, "GET", "/api/v1/deployments/busy/revisions?limit=1000");
    const reasons = (history.body as { items: { reason: string }[] }).items.map(({ reason }) => reason);
    expect(new Set(reasons).size).toBe(17);
  });

  it("without an expected revision are applied to what is current", async () => {
    const by = { actor: ground.actor, reason: "policy" };
    await put("mixed", only(1));
    await Promise.all([
      ground.serving.changeDeployment("mixed", { timeoutMs: 777 }, by),
      ground.serving.changeDeployment("mixed", { sticky: { by: "header", name: "user" } }, by),
    ]);
    expect(await ground.serving.getDeployment("mixed")).toMatchObject({
      revision: 3,
      timeoutMs: 777,
      sticky: { by: "header", name: "user" },
    });
  });

  it("are audited", async () => {
    await put("audited", { ...only(1), reason: "look" });
    const [entry] = await ground.audit.list({ subject: "deployment/audited" }, undefined, 10);
    expect(entry).toMatchObject({ action: "deployment.create", reason: "look" });
  });

  it("are seen by another instance within a second", async () => {
    await put("seen", only(1));
    expect(firstValue(await ask("seen"))).toBe(1);
    const { createServing } = await import("../../../../models/serving/index.ts");
    const other = createServing({ ...ground, dataDirectory: `${ground.directory}/other` });
    await other.changeDeployment("seen", only(2), { actor: ground.actor, reason: "elsewhere" });
    expect(firstValue(await ask("seen"))).toBe(1);
    ground.settle();
    expect(firstValue(await ask("seen"))).toBe(2);
    await other.close?.();
  });
});

describe("a rollback", () => {
  it("goes back to the revision before, again and again, and forward by name", async () => {
    for (const version of [1, 2, 3])
      await put("rolling", only(version), version === 1 ? {} : { "if-match": "*" });
    const back = await rollback("rolling", { reason: "late" });
    expect(back.body).toMatchObject({ revision: 4, variants: only(2).variants, reason: "late" });
    expect(firstValue(await ask("rolling"))).toBe(2);
    expect((await rollback("rolling")).body).toMatchObject({ revision: 5, variants: only(1).variants });
    const nothing = await rollback("rolling");
    expect(nothing.status).toBe(409);
    expect((nothing.body as { detail: string }).detail).toContain("no earlier revision");
    expect((await rollback("rolling", { toRevision: 3 })).body).toMatchObject({ variants: only(3).variants });
    const { body } = await call(ground.app, "GET", "/api/v1/deployments/rolling/revisions");
    expect(
      (body as { items: { revision: number; restores: number; health: string }[] }).items.map((item) => [
        item.revision,
        item.restores,
        item.health,
      ]),
    ).toEqual([
      [6, 3, "unjudged"],
      [5, 1, "unjudged"],
      [4, 2, "unhealthy"],
      [3, null, "unhealthy"],
      [2, null, "unhealthy"],
      [1, null, "unjudged"],
    ]);
    expect((await rollback("rolling")).body).toMatchObject({ revision: 7, variants: only(1).variants });
  });

  it("prefers revisions that were found healthy", async () => {
    for (const version of [1, 2, 3])
      await put("judged", only(version), version === 1 ? {} : { "if-match": "*" });
    const health = await call(ground.app, "PUT", "/api/v1/deployments/judged/revisions/1/health", {
      health: "healthy",
      reason: "a quiet week",
    });
    expect(health.body).toMatchObject({ revision: 1, health: "healthy", healthReason: "a quiet week" });
    expect((await rollback("judged")).body).toMatchObject({ variants: only(1).variants });
  });

  it.each<[string, unknown, number, string]>([
    ["a revision that is not there", { toRevision: 7 }, 404, "no revision 7"],
    ["what is served already", { toRevision: 1 }, 409, "already serves"],
  ])("to %s is refused", async (_, body, status, message) => {
    const name = `refusing-${status}`;
    await put(name, only(1));
    const answer = await rollback(name, body);
    expect(answer.status).toBe(status);
    expect((answer.body as { detail: string }).detail).toContain(message);
  });

  it("respects the revision that the caller has seen", async () => {
    await put("careful", only(1));
    await put("careful", only(2), { "if-match": "*" });
    expect((await rollback("careful", {}, { "if-match": '"1"' })).status).toBe(412);
    expect((await rollback("careful", {}, { "if-match": '"2"' })).status).toBe(200);
  });
});

describe("traffic", () => {
  it("splits by weight", async () => {
    await put("split", split(90, 10));
    const counts: Record<string, number> = {};
    for (let i = 0; i < 100; i++) {
      const variant = (await ask("split")).headers.get("ketline-variant") ?? "";
      counts[variant] = (counts[variant] ?? 0) + 1;
    }
    expect(counts).toEqual({ blue: 90, green: 10 });
  });

  it("goes where a header says", async () => {
    await put("forced", split(100, 0));
    expect(firstValue(await ask("forced", { "x-ketline-variant": "green" }))).toBe(2);
    const wrong = await ask("forced", { "x-ketline-variant": "red" });
    expect(wrong.status).toBe(400);
    expect((wrong.body as { error: string }).error).toContain('no variant "red"; it has "blue", "green"');
  });

  it.each([
    ["header", { by: "header", name: "x-user" }, (key: string) => ({ "x-user": key })],
    ["cookie", { by: "cookie", name: "user" }, (key: string) => ({ cookie: `a=b; user=${key}` })],
  ])("sticks to a %s", async (by, sticky, headers) => {
    const name = `sticky-${by}`;
    await put(name, { ...split(50, 50), sticky });
    const seen = new Set<string | null>();
    for (let user = 0; user < 10; user++) {
      const variants = new Set<string | null>();
      for (let i = 0; i < 5; i++) {
        variants.add((await ask(name, headers(`user-${user}`))).headers.get("ketline-variant"));
      }
      expect(variants.size).toBe(1);
      for (const variant of variants) seen.add(variant);
    }
    expect(seen.size).toBe(2);
  });

  it("sticks to a field of the request", async () => {
    await put("sticky-field", { ...split(50, 50), sticky: { by: "field", name: "X" } });
    const variantOf = async (value: number) =>
      (await ask("sticky-field", {}, value)).headers.get("ketline-variant");
    const once = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(variantOf));
    expect(await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(variantOf))).toEqual(once);
    expect(new Set(once).size).toBe(2);
  });

  it("is copied to shadows after the answer, whose failures nobody sees", async () => {
    const seen: Prediction[] = [];
    const told = Promise.withResolvers<void>();
    const end = ground.serving.onPrediction((prediction) => {
      if (prediction.deployment !== "mirrored") return;
      seen.push(prediction);
      if (seen.length === 3) told.resolve();
    });
    await put("mirrored", {
      ...only(1),
      shadows: [
        { name: "next", model: "times", version: "3", fraction: 1 },
        { name: "misfit", model: "other", version: "1", fraction: 1 },
      ],
    });
    const answer = await ask("mirrored", { "x-request-id": "pair" }, 5);
    expect(firstValue(answer)).toBe(5);
    await told.promise;
    end();
    const by = (variant: string) => seen.find((prediction) => prediction.variant === variant);
    expect(by("main")).toMatchObject({ shadow: false, status: "ok", requestId: "pair", modelVersion: "1" });
    expect(by("next")).toMatchObject({ shadow: true, status: "ok", requestId: "pair", modelVersion: "3" });
    expect([...(by("next")?.outputs.Y?.data ?? [])]).toEqual([15]);
    expect([...(by("next")?.inputs.X?.data ?? [])]).toEqual([5]);
    expect(by("misfit")).toMatchObject({ shadow: true, status: "error", errorKind: "invalid" });
  });

  it("tells listeners of failures, and a listener that fails changes nothing", async () => {
    await put("listened", only(1));
    const kinds: unknown[] = [];
    const end = ground.serving.onPrediction((prediction) => {
      if (prediction.deployment === "listened") kinds.push(prediction.errorKind ?? prediction.status);
      throw new Error("a listener's own fault");
    });
    expect((await ask("listened")).status).toBe(200);
    const inputs = [{ name: "X", shape: [1, 1], datatype: "FP64", data: [1] }];
    await call(ground.app, "POST", "/v2/models/listened/infer", { inputs });
    await new Promise((resolve) => setImmediate(resolve));
    end();
    expect(kinds).toEqual(["ok", "invalid"]);
  });
});

describe("what is in memory", () => {
  it("is asked for at most once a second", async () => {
    await put("quiet", only(1));
    await ask("quiet");
    const before = ground.models.questions;
    for (let i = 0; i < 20; i++) await ask("quiet");
    expect(ground.models.questions).toBe(before);
  });
});
