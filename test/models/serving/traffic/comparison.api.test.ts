import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Comparison } from "../../../../models/serving/schemas.ts";
import { call } from "../../../support/application.ts";
import { type ServingGround, servingGround } from "../ground.ts";
import { linearModel, zipMapModel } from "../models.ts";

let ground: ServingGround;
beforeAll(async () => {
  let drawn = 0;
  ground = await servingGround({ random: () => (drawn++ % 2) / 2 });
  await ground.models.register("times", { "model.onnx": linearModel([2]) });
  await ground.models.register("times", { "model.onnx": linearModel([2], 1) });
  await ground.models.register("classes", { "model.onnx": zipMapModel(["no", "yes"]) });
});
afterAll(() => ground.close());

const infer = async (name: string, data: readonly unknown[], datatype = "FP32") => {
  const inputs = [{ name: "X", shape: [data.length, 1], datatype, data }];
  await call(ground.app, "POST", `/v2/models/${name}/infer`, { inputs });
};
const compare = async (name: string, query = "") => {
  const { body } = await call(ground.app, "GET", `/api/v1/deployments/${name}/comparison${query}`);
  return body as Comparison;
};
const by = { reason: "test" };

describe("a comparison of variants", () => {
  it("counts what each answered and how it differs from the one that answers most", async () => {
    await ground.serving.changeDeployment(
      "split",
      {
        variants: [
          { name: "old", model: "times", version: "1", weight: 50 },
          { name: "new", model: "times", version: "2", weight: 50 },
        ],
      },
      { actor: ground.actor, ...by },
    );
    for (let i = 0; i < 10; i++) await infer("split", [i, i]);
    await infer("split", [1], "FP64");
    await new Promise((resolve) => setImmediate(resolve));
    const { baseline, revision, variants } = await compare("split");
    expect([baseline, revision]).toEqual(["old", 1]);
    const [newer, older] = variants;
    expect(older).toMatchObject({
      variant: "old",
      shadow: false,
      versions: ["times/1"],
      requests: 6,
      rows: 10,
      errors: { invalid: 1 },
      comparedWith: null,
      outputs: [{ name: "Y", count: 10, mean: 8, min: 0, max: 16, nonFinite: 0 }],
    });
    expect(older?.errorRate.value).toBeCloseTo(1 / 6, 12);
    expect(older?.latencyMs.p99).toBeGreaterThan(0);
    expect(newer).toMatchObject({ variant: "new", requests: 5, rows: 10 });
    const difference = newer?.comparedWith?.meanDifferences[0]?.difference;
    // Old saw 0, 2, 4, 6, 8 twice each, new 1, 3, 5, 7, 9: twice the value, plus one.
    expect(difference?.value).toBeCloseTo(3, 6);
    expect(difference?.low).toBeLessThan(3);
    expect(newer?.comparedWith?.errorRateDifference.value).toBeCloseTo(-1 / 6, 12);
  });

  it("sets a shadow beside the answers to the same rows", async () => {
    const told = Promise.withResolvers<void>();
    let seen = 0;
    const end = ground.serving.onPrediction(({ shadow }) => {
      if (shadow && ++seen === 3) told.resolve();
    });
    await ground.serving.changeDeployment(
      "shadowed",
      {
        variants: [{ name: "main", model: "times", version: "1", weight: 100 }],
        shadows: [{ name: "next", model: "times", version: "2", fraction: 1 }],
      },
      { actor: ground.actor, ...by },
    );
    for (const row of [1, 2, 3]) await infer("shadowed", [row]);
    await told.promise;
    end();
    const { variants } = await compare("shadowed");
    expect(variants.map(({ variant, shadow }) => [variant, shadow])).toEqual([
      ["main", false],
      ["next", true],
    ]);
    expect(variants[1]?.agreement).toMatchObject([
      { name: "Y", rows: 3, rate: { value: 0 }, meanDifference: { value: 1, low: 1, high: 1 } },
    ]);
  });

  it("counts classes, and scores by their column", async () => {
    await ground.serving.changeDeployment(
      "classes",
      { variants: [{ name: "main", model: "classes", version: "1", weight: 100 }] },
      { actor: ground.actor, ...by },
    );
    await infer("classes", [-1, 1, 2]);
    await new Promise((resolve) => setImmediate(resolve));
    const { variants } = await compare("classes");
    expect(variants[0]?.outputs).toMatchObject([
      { name: "output_label", count: 0, labels: { no: 1, yes: 2 } },
      { name: "output_probability[0]", count: 3 },
      { name: "output_probability[1]", count: 3 },
    ]);
  });

  it("is kept by revision and by windows of time, across instances", async () => {
    const change = (version: string) =>
      ground.serving.changeDeployment(
        "kept",
        { variants: [{ name: "main", model: "times", version, weight: 100 }] },
        { actor: ground.actor, ...by },
      );
    await change("1");
    await infer("kept", [1]);
    await new Promise((resolve) => setImmediate(resolve));
    ground.clock.advance(10 * 60_000);
    await infer("kept", [1, 2]);
    await new Promise((resolve) => setImmediate(resolve));
    await change("2");
    expect((await compare("kept")).variants).toEqual([]);
    expect((await compare("kept", "?revision=1")).variants[0]).toMatchObject({ requests: 2, rows: 3 });
    const sinceMs = ground.clock() - 60_000;
    expect((await compare("kept", `?revision=1&sinceMs=${sinceMs}`)).variants[0]).toMatchObject({ rows: 2 });
  });

  it("is answered 404 where there is nothing to compare", async () => {
    expect((await call(ground.app, "GET", "/api/v1/deployments/none/comparison")).status).toBe(404);
    expect((await call(ground.app, "GET", "/api/v1/deployments/kept/comparison?revision=9")).status).toBe(
      404,
    );
  });
});
