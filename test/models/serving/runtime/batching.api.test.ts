import { afterEach, describe, expect, it } from "vitest";
import type { ModelProto } from "../../../../shared/onnx/index.ts";
import { buildModel, node, tensorInfo } from "../../../../shared/onnx/index.ts";
import { call } from "../../../support/application.ts";
import { type ServingGround, servingGround } from "../ground.ts";
import { linearModel } from "../models.ts";

let ground: ServingGround;
afterEach(() => ground.close());

/** Any model may move into this process at once. */
const inlineRule = { afterRuns: 1, maxFileBytes: 1e6, maxLoadMs: 60_000, maxRunMs: 60_000 };

async function begin(models: Readonly<Record<string, ModelProto>>): Promise<void> {
  ground = await servingGround({ limits: { inlineRule } });
  for (const [name, model] of Object.entries(models)) {
    await ground.models.register(name, { "model.onnx": model });
  }
}

/** Each row less the mean of all rows. */
function centredModel(): ModelProto {
  return buildModel({
    name: "centred",
    producerVersion: "test",
    inputs: [tensorInfo("X", "float32", ["N", 1])],
    outputs: [tensorInfo("Y", "float32", ["N", 1])],
    nodes: [node("ReduceMean", ["X"], ["M"], { axes: { ints: [0] } }), node("Sub", ["X", "M"], ["Y"])],
    initializers: [],
  });
}

async function ask(name: string, data: readonly number[], outputs?: readonly string[]) {
  const input = { name: "X", shape: [data.length, 1], datatype: "FP32", data };
  const body = { inputs: [input], ...(outputs && { outputs: outputs.map((output) => ({ name: output })) }) };
  const { status, body: answer } = await call(ground.app, "POST", `/v2/models/${name}/infer`, body);
  return { status, data: (answer as { outputs?: { data: number[] }[] }).outputs?.[0]?.data };
}

async function counts(name: string): Promise<{ rows: number; runs: number; requests: number }> {
  // What was answered is counted in the turn after.
  await new Promise((resolve) => setImmediate(resolve));
  const { body } = await call(ground.app, "GET", `/v2/models/${name}/stats`);
  const [stats] = (
    body as {
      model_stats: {
        inference_count: number;
        execution_count: number;
        inference_stats: { success: { count: number } };
      }[];
    }
  ).model_stats;
  return {
    rows: stats?.inference_count ?? 0,
    runs: stats?.execution_count ?? 0,
    requests: stats?.inference_stats.success.count ?? 0,
  };
}

const burst = 16;
/** Asks all of them at once, again and again until `joined` has shared a run. @returns answers of the last burst */
async function untilShared(joined: string, others: readonly string[] = []): Promise<void> {
  for (let round = 0; round < 200; round++) {
    const names = [joined, ...others];
    await Promise.all(
      Array.from({ length: burst * names.length }, (_, i) => ask(names[i % names.length] ?? "", [i])),
    );
    const { runs, requests } = await counts(joined);
    if (runs < requests) return;
  }
  throw new Error(`"${joined}" never shared a run.`);
}

describe("requests that come at the same moment", () => {
  it("share runs, and each gets its own answer", async () => {
    await begin({ twice: linearModel([2]) });
    await untilShared("twice");
    const before = await counts("twice");
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const data = Array.from({ length: 1 + (i % 3) }, (_, row) => 100 * i + row);
        const answer = await ask("twice", data, i % 4 === 0 ? ["Y"] : undefined);
        return [data, answer] as const;
      }),
    );
    for (const [data, answer] of answers) {
      expect(answer).toEqual({ status: 200, data: data.map((value) => 2 * value) });
    }
    const after = await counts("twice");
    expect(after.rows - before.rows).toBe(answers.reduce((sum, [data]) => sum + data.length, 0));
    expect(after.runs - before.runs).toBeLessThan(60);
  });

  it("do not share them where the rows of a model influence each other", async () => {
    await begin({ twice: linearModel([2]), centred: centredModel() });
    await untilShared("twice", ["centred"]);
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(Array.from({ length: burst }, (_, i) => ask("centred", [i, i + 4])));
      for (const answer of answers) expect(answer).toEqual({ status: 200, data: [-2, 2] });
    }
    const { runs, requests } = await counts("centred");
    expect(runs).toBe(requests);
  });

  it("do not share them where the deployment says so", async () => {
    await begin({ twice: linearModel([2]) });
    await untilShared("twice");
    const by = { actor: ground.actor, reason: "test" };
    const variants = [{ name: "only", model: "twice", version: "1", weight: 100 }];
    await ground.serving.changeDeployment("apart", { variants, batching: false }, by);
    const before = await counts("twice");
    const answers = await Promise.all(Array.from({ length: 3 * burst }, (_, i) => ask("apart", [i])));
    expect(answers.map(({ data }) => data?.[0])).toEqual(answers.map((_, i) => 2 * i));
    const after = await counts("twice");
    expect(after.runs - before.runs).toBe(3 * burst);
  });

  it("fail alone", async () => {
    await begin({ twice: linearModel([2]) });
    await untilShared("twice");
    const answers = await Promise.all(
      Array.from({ length: burst }, (_, i) => (i === 5 ? ask("twice", [i], ["Z"]) : ask("twice", [i]))),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map((_, i) => (i === 5 ? 400 : 200)));
  });
});
