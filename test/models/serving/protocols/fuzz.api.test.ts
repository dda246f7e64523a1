import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomSource } from "../../../support/random.ts";
import { type ServingGround, servingGround } from "../ground.ts";
import { identityModel, linearModel, sumModel } from "../models.ts";

const seed = Number(process.env.KETLINE_TEST_SEED ?? 20260105);
const bodiesPerEndpoint = 200;
let ground: ServingGround;
beforeAll(async () => {
  ground = await servingGround();
  await ground.models.register("linear", { "model.onnx": linearModel([1, 10]) });
  await ground.models.register("sum", { "model.onnx": sumModel() });
  await ground.models.register("texts", { "model.onnx": identityModel("string") });
});
afterAll(() => ground.close());

const infer = JSON.stringify({
  id: "1",
  parameters: { binary_data_output: false },
  inputs: [{ name: "X", shape: [2, 2], datatype: "FP32", data: [1, 2, 3, 4] }],
  outputs: [{ name: "Y", parameters: { binary_data: true } }],
});
const score = JSON.stringify({
  dataframe_split: {
    columns: ["a", "b"],
    data: [
      [1, 2],
      [3, 4],
    ],
  },
  params: {},
});
const put = JSON.stringify({
  variants: [{ name: "a", model: "linear", version: "1", weight: 100 }],
  shadows: [{ name: "b", model: "linear", version: "1", fraction: 0.5 }],
  sticky: { by: "header", name: "x" },
});

const scraps = [
  "null",
  "true",
  "-1",
  "1e400",
  "NaN",
  "Infinity",
  '""',
  "[]",
  "{}",
  "[[]]",
  '"X"',
  '"FP64"',
  '"BYTES"',
  '"INT64"',
  "9007199254740993",
  "4294967296",
  '{"binary_data_size":4}',
  "\u0000",
  "\ud800",
  '"__proto__"',
  "18446744073709551616",
];

/** Replaces, drops, doubles or scrambles parts of a good body. */
function mutate(body: string, random: () => number): Uint8Array<ArrayBuffer> {
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)] as Item;
  let text = body;
  for (let change = 0; change <= random() * 3; change++) {
    const tokens = [...text.matchAll(/"[^"]*"|-?[\d.]+|[[\]{},:]|true|false|null/g)];
    const token = pick(tokens);
    const at = token?.index ?? 0;
    const end = at + (token?.[0].length ?? 0);
    const kind = random();
    if (kind < 0.5) text = text.slice(0, at) + pick(scraps) + text.slice(end);
    else if (kind < 0.65) text = text.slice(0, at) + text.slice(end);
    else if (kind < 0.8) text = text.slice(0, end) + text.slice(at);
    else text = text.slice(0, Math.floor(random() * text.length));
  }
  const bytes = new TextEncoder().encode(text);
  if (random() < 0.1) bytes[Math.floor(random() * bytes.length)] = 0xff;
  return bytes;
}

describe("mutilated bodies", () => {
  it.each([
    ["POST", "/v2/models/linear/infer", infer, "application/json"],
    ["POST", "/v2/models/sum/infer", infer, "application/json"],
    ["POST", "/v2/models/texts/infer", infer.replaceAll("FP32", "BYTES"), "application/json"],
    ["POST", "/serving/linear/invocations", score, "application/json"],
    ["POST", "/serving/linear/invocations", "a,b\n1,2\n3,4\n", "text/csv"],
    ["POST", "/v2/repository/index", '{"ready":true}', "application/json"],
    ["PUT", "/api/v1/deployments/fuzzed", put, "application/json"],
    ["POST", "/api/v1/deployments/fuzzed/rollback", '{"toRevision":1,"reason":"x"}', "application/json"],
  ])(
    "to %s %s are answered 2xx or 4xx, never otherwise (seed in KETLINE_TEST_SEED)",
    async (method, path, body, type) => {
      const random = randomSource(seed).uniform;
      for (let i = 0; i < bodiesPerEndpoint; i++) {
        const bytes = mutate(body, random);
        const headers: Record<string, string> = { "content-type": type };
        if (random() < 0.3)
          headers["inference-header-content-length"] = String(Math.floor(random() * 1.2 * bytes.length));
        if (random() < 0.2) headers["x-ketline-variant"] = "a";
        if (method === "PUT") headers["if-match"] = "*";
        const response = await ground.app.request(path, { method, body: bytes, headers });
        const answer = await response.text();
        const about = `seed ${seed}, body ${i}: ${new TextDecoder().decode(bytes)} → ${response.status} ${answer}`;
        expect(response.status, about).toBeLessThan(500);
        if (response.status >= 400) expect(answer.length, about).toBeGreaterThan(20);
      }
    },
  );

  it("leave the server as it was", async () => {
    const response = await ground.app.request("/v2/models/linear/infer", {
      method: "POST",
      body: JSON.stringify({ inputs: [{ name: "X", shape: [1, 2], datatype: "FP32", data: [1, 2] }] }),
    });
    expect(await response.json()).toMatchObject({ outputs: [{ data: [21] }] });
  });
});
