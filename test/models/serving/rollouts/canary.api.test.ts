import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../../support/application.ts";
import { randomSource } from "../../../support/random.ts";
import { type ServingGround, servingGround } from "../ground.ts";
import { linearModel } from "../models.ts";

const seed = 7;
let ground: ServingGround;
beforeAll(async () => {
  ground = await servingGround({ random: randomSource(seed).uniform });
  await ground.models.register("times", { "model.onnx": linearModel([1]) });
  await ground.models.register("times", { "model.onnx": linearModel([2]) });
});
afterAll(() => ground.close());

interface Seen {
  readonly status: number;
  readonly revision: number;
  readonly variant: string;
  readonly value: number | undefined;
  readonly key: string | null;
}

describe("a canary under load", () => {
  it("goes up step by step and back, with no failed and no misrouted request", async () => {
    const weights = [0, 10, 50, 100];
    const variants = (canary: number) => ({
      variants: [
        { name: "champion", model: "times", version: "1", weight: 100 - canary },
        { name: "canary", model: "times", version: "2", weight: canary },
      ],
      sticky: { by: "header" as const, name: "x-user" },
    });
    const by = { actor: ground.actor, reason: "step" };
    await ground.serving.changeDeployment("canary", variants(0), by);
    const seen: Seen[] = [];
    let running = true;
    const client = async (index: number) => {
      for (let i = 0; running; i++) {
        // Every second request has a user, and half of the users come back.
        const key = i % 2 === 0 ? `user-${index}-${i % 20}` : null;
        const answer = await call(
          ground.app,
          "POST",
          "/v2/models/canary/infer",
          { inputs: [{ name: "X", shape: [1, 1], datatype: "FP32", data: [1] }] },
          key === null ? {} : { "x-user": key },
        );
        seen.push({
          status: answer.status,
          revision: Number(answer.headers.get("ketline-revision")),
          variant: answer.headers.get("ketline-variant") ?? "",
          value: (answer.body as { outputs?: { data: number[] }[] }).outputs?.[0]?.data[0],
          key,
        });
      }
    };
    const clients = Promise.all(Array.from({ length: 64 }, (_, index) => client(index)));
    const answered = async (revision: number, count: number) =>
      expect
        .poll(() => seen.filter((one) => one.revision === revision).length, { timeout: 30_000, interval: 5 })
        .toBeGreaterThan(count);
    for (const [step, weight] of weights.entries()) {
      if (step > 0) await ground.serving.changeDeployment("canary", variants(weight), by);
      await answered(step + 1, 1500);
    }
    await ground.serving.rollback("canary", { ...by, toRevision: 1 });
    await answered(5, 300);
    running = false;
    await clients;

    expect(seen.filter(({ status }) => status !== 200)).toEqual([]);
    const weightOf = [Number.NaN, 0, 10, 50, 100, 0];
    for (const { revision, variant, value } of seen) {
      expect(value).toBe(variant === "canary" ? 2 : 1);
      if (weightOf[revision] === 0) expect(variant).toBe("champion");
      if (weightOf[revision] === 100) expect(variant).toBe("canary");
    }
    for (const revision of [2, 3]) {
      const free = seen.filter((one) => one.revision === revision && one.key === null);
      const hits = free.filter(({ variant }) => variant === "canary").length;
      const p = (weightOf[revision] ?? 0) / 100;
      // Four standard deviations: one run in 16,000 is outside by chance.
      expect(Math.abs(hits - free.length * p)).toBeLessThan(4 * Math.sqrt(free.length * p * (1 - p)));
      const places = new Map<string, string>();
      for (const { key, variant } of seen.filter((one) => one.revision === revision && one.key !== null)) {
        if (key === null) continue;
        expect(places.get(key) ?? variant).toBe(variant);
        places.set(key, variant);
      }
    }
  });
});
