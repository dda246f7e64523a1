import { afterAll, beforeAll, expect, it } from "vitest";
import { forestModel } from "../forest.ts";
import { type ServingGround, servingGround } from "../ground.ts";

let ground: ServingGround;
beforeAll(async () => {
  ground = await servingGround();
});
afterAll(() => ground.close());

it("serves a forest of 125 trees and two million nodes, as scikit-learn's converter writes it", async () => {
  const forest = forestModel(125, 13);
  expect(forest.byteLength).toBeGreaterThan(60_000_000);
  await ground.models.register("forest", { "model.onnx": forest });
  const response = await ground.app.request("/v2/models/forest/infer", {
    method: "POST",
    body: JSON.stringify({
      inputs: [{ name: "X", shape: [3, 1], datatype: "FP32", data: [0, 0.30005, 0.99999] }],
    }),
  });
  const answer = (await response.json()) as { outputs: [{ data: number[] }] };
  expect(response.status, JSON.stringify(answer)).toBe(200);
  const leafOf = (x: number) => Math.floor(x * 2 ** 13) / 2 ** 13;
  expect(answer.outputs[0]).toMatchObject({ name: "scores", datatype: "FP32", shape: [3, 1] });
  for (const [row, x] of [0, 0.30005, 0.99999].entries()) {
    // A sum of 125 floats.
    expect(answer.outputs[0].data[row]).toBeCloseTo(125 * leafOf(x), 3);
  }
});
