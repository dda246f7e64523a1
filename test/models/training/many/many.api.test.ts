import { afterEach, describe, expect, it } from "vitest";
import { call } from "../../../support/application.ts";
import { type TrainingGround, trainingGround } from "../../../support/training.ts";

let ground: TrainingGround;
afterEach(() => ground.close());

const split = { holdoutFraction: 0.25 };
const algorithm = { kind: "boosting", trees: 20, maxLeaves: 4, minLeafRows: 5 };
const spec = {
  dataset: "stops",
  task: "regression",
  target: { column: "y" },
  features: [{ column: "x" }, { column: "z" }],
  split,
  algorithm,
  partitionBy: ["stop"],
  minRows: 100,
  minimumRows: { train: 20, holdout: 10 },
  registeredModel: "delay",
};

/** Each stop adds a number of its own to x. */
const offsets = new Map([
  ["north", 100],
  ["Süd / Ærø 🚋", 200],
  ["", 300],
  ["__proto__", 400],
  ["constructor", 500],
  [`a "quoted", long one ${"x".repeat(300)}`, 600],
]);

function stops(rowsPerStop: number, others: Readonly<Record<string, number>> = {}): string {
  const lines = ["stop,x,z,y"];
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  for (const [stop, offset] of offsets) {
    for (let row = 0; row < rowsPerStop; row++) {
      const x = Math.floor(10 * random());
      lines.push([quoted(stop), x, random().toFixed(6), offset + x].join(","));
    }
  }
  for (const [stop, rows] of Object.entries(others))
    for (let row = 0; row < rows; row++) lines.push([quoted(stop), row, random().toFixed(6), 7].join(","));
  return `${lines.join("\n")}\n`;
}

interface Keys {
  items: {
    values: string[];
    state: string;
    reason: string | null;
    trainRows: number;
    meanLoss: number | null;
  }[];
  nextCursor?: string;
}
const keysOf = async (id: string, query = "") =>
  (await call(ground.app, "GET", `/api/v1/training/${id}/keys${query}`)).body as Keys;

describe("a training with partitionBy", () => {
  it("makes a model for each key, whatever it is called, and one version of all", async () => {
    ground = await trainingGround();
    await ground.addDataset("stops", "csv", stops(200, { rare: 20, constant: 200 }));
    const job = await ground.train(spec);
    expect(job).toMatchObject({ state: "succeeded", error: null });
    expect(job.result).toMatchObject({
      model: { name: "delay", version: 1 },
      decision: { promoted: true },
      keys: { total: 8, trained: 7, fallback: 1, failed: 0, rowsWithoutKey: 0, worse: null },
    });
    const { items } = await keysOf(job.id);
    expect(new Set(items.map(({ values }) => values[0]))).toEqual(
      new Set([...offsets.keys(), "rare", "constant"]),
    );
    expect(items.find(({ values }) => values[0] === "rare")).toMatchObject({
      state: "fallback",
      meanLoss: null,
    });
    // The whole number x can be told from trees of four leaves, the own mean of a stop cannot tell it.
    for (const { state, meanLoss } of items) if (state === "trained") expect(meanLoss).toBeLessThan(1);
  });

  it("shows its keys by page, order and state", async () => {
    ground = await trainingGround();
    await ground.addDataset("stops", "csv", stops(200, { rare: 20 }));
    const { id } = await ground.train(spec);
    const first = await keysOf(id, "?limit=4&order=meanLoss&direction=descending");
    const second = await keysOf(
      id,
      `?limit=4&order=meanLoss&direction=descending&cursor=${first.nextCursor}`,
    );
    const losses = [...first.items, ...second.items].map(({ meanLoss }) => meanLoss);
    expect(losses).toHaveLength(7);
    expect(losses.at(-1)).toBeNull();
    const found = losses.slice(0, -1) as number[];
    expect(found).toEqual(found.toSorted((a, b) => b - a));
    expect((await keysOf(id, "?state=fallback")).items.map(({ values }) => values)).toEqual([["rare"]]);
  });

  it("compares all keys with the champion's, and promotes only what is better over them together", async () => {
    ground = await trainingGround();
    await ground.addDataset("stops", "csv", stops(200));
    const poor = await ground.train({ ...spec, algorithm: { ...algorithm, trees: 5 } });
    expect(poor.result.decision).toMatchObject({ promoted: true });
    const better = await ground.train(spec);
    expect(better.result).toMatchObject({
      model: { version: 2 },
      keys: { worse: 0 },
      decision: { promoted: true, champion: 1, comparison: { metric: "squaredError" } },
    });
    const worse = await ground.train({ ...spec, algorithm: { ...algorithm, trees: 5 } });
    expect(worse.result).toMatchObject({ decision: { promoted: false, champion: 2 }, keys: { worse: 6 } });
  });

  it("refuses what cannot be a key, and too many", async () => {
    ground = await trainingGround();
    await ground.addDataset("stops", "csv", stops(20));
    const refused = async (change: object) =>
      (await call(ground.app, "POST", "/api/v1/training", { ...spec, ...change })) as {
        status: number;
        body: { detail: string };
      };
    for (const [change, words] of [
      [{ partitionBy: ["line"] }, 'no column "line"'],
      [{ partitionBy: ["y"] }, "the target"],
      [{ partitionBy: ["z"] }, "whole numbers"],
      [{ partitionBy: ["stop", "stop"] }, "twice"],
      [{ slices: ["stop"] }, "slices"],
      [{ partitionBy: undefined }, "says nothing"],
    ] as const) {
      const answer = await refused(change);
      expect(answer.status, words).toBe(400);
      expect(answer.body.detail).toContain(words);
    }
    const { state, error } = await ground.train(spec);
    expect(state).toBe("failed");
    expect(error).toContain("None of the 6 keys has 100 rows");
  });

  it("trains the others where the rows of a key are all of one class, and says so of that key", async () => {
    ground = await trainingGround();
    const rows = ["stop,x,n,late"];
    for (let row = 0; row < 600; row++) {
      const stop = row % 3;
      rows.push([stop, row % 10, row, stop === 2 ? 1 : Number(row % 10 > 4)].join(","));
    }
    await ground.addDataset("stops", "csv", `${rows.join("\n")}\n`);
    const features = [{ column: "x" }];
    const job = await ground.train({ ...spec, task: "binary", target: { column: "late" }, features });
    expect(job.error).toBeNull();
    expect(job.result).toMatchObject({ keys: { total: 3, trained: 2, failed: 1 } });
    expect((await keysOf(job.id, "?state=failed")).items).toMatchObject([
      { values: ["2"], reason: expect.stringContaining("are of the class 1") },
    ]);
  });

  it("refuses 100,001 keys with the number and what to do", async () => {
    ground = await trainingGround();
    const rows = ["stop,x,z,y", ...Array.from({ length: 100_001 }, (_, row) => `${row},1,2,3`)];
    await ground.addDataset("stops", "csv", `${rows.join("\n")}\n`);
    const { state, error } = await ground.train({ ...spec, split: { holdoutFraction: 0.5 } });
    expect(state).toBe("failed");
    expect(error).toContain("100001 keys");
    expect(error).toContain("at most 100000");
  });
});
