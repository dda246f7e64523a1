import { describe, expect, it } from "vitest";
import { createBatcher, type WaitLimits } from "../../../../models/serving/runtime/batching.ts";
import type { Tensors } from "../../../../models/serving/tensors/tensors.ts";
import { randomSource } from "../../../support/random.ts";

const patient: WaitLimits = { timeoutMs: 60_000 };

/** Rows of numbers, all of one width. */
function request(rows: readonly (readonly number[])[], width = rows[0]?.length ?? 1): Tensors {
  return { X: { datatype: "FP32", shape: [rows.length, width], data: Float32Array.from(rows.flat()) } };
}

interface Run {
  readonly rows: number;
  readonly outputs: readonly string[];
}

/** Answers `sum` and `first` of each row; refuses a run with the number 13 in it, as a model may. */
function rowModel() {
  const runs: Run[] = [];
  const run = async (inputs: Tensors, names: readonly string[]) => {
    const { X } = inputs;
    if (X === undefined) throw new Error("there is no X");
    const [rows = 0, width = 0] = X.shape;
    runs.push({ rows, outputs: names });
    await new Promise((resolve) => setImmediate(resolve));
    if ([...X.data].includes(13)) throw new Error(`13 in ${rows} rows`);
    const row = (index: number) => [...(X.data as Float32Array)].slice(index * width, (index + 1) * width);
    const all: Record<string, (values: number[]) => number> = {
      sum: (values) => values.reduce((total, value) => total + value, 0),
      first: (values) => values[0] ?? 0,
    };
    const outputs = Object.fromEntries(
      names.map((name) => {
        const data = Float32Array.from({ length: rows }, (_, index) => all[name]?.(row(index)) ?? Number.NaN);
        return [name, { datatype: "FP32" as const, shape: [rows, 1], data }];
      }),
    );
    return { outputs, runMs: 1 };
  };
  return { runs, session: { run } };
}

const always = () => true;
const dataOf = (tensors: Tensors, name: string) => [...(tensors[name]?.data ?? [])];

describe("the batcher", () => {
  it("runs a lone request at once, in the same turn", async () => {
    const { runs, session } = rowModel();
    const answer = createBatcher(session, always).run(request([[1, 2]]), ["sum"], patient);
    expect(runs).toEqual([{ rows: 1, outputs: ["sum"] }]);
    const { outputs, executions, elements } = await answer;
    expect([dataOf(outputs, "sum"), executions, elements]).toEqual([[3], 1, 2]);
  });

  it("runs what arrived meanwhile together, and counts it as one run", async () => {
    const { runs, session } = rowModel();
    const batcher = createBatcher(session, always);
    const answers = await Promise.all(
      [1, 2, 3, 4].map((value) => batcher.run(request([[value], [10 * value]]), ["sum"], patient)),
    );
    expect(runs.map(({ rows }) => rows)).toEqual([2, 6]);
    expect(answers.map(({ outputs }) => dataOf(outputs, "sum"))).toEqual([
      [1, 10],
      [2, 20],
      [3, 30],
      [4, 40],
    ]);
    expect(answers.map(({ executions }) => executions)).toEqual([1, 1, 0, 0]);
    expect(answers.map(({ elements }) => elements)).toEqual([2, 6, 6, 6]);
  });

  it("puts at most sixteen into one run, so that the first answers leave before the last are made", async () => {
    const { runs, session } = rowModel();
    const batcher = createBatcher(session, always);
    const values = Array.from({ length: 40 }, (_, index) => index + 100);
    const answers = await Promise.all(
      values.map((value) => batcher.run(request([[value]]), ["sum"], patient)),
    );
    expect(runs.map(({ rows }) => rows)).toEqual([1, 16, 16, 7]);
    expect(answers.flatMap(({ outputs }) => dataOf(outputs, "sum"))).toEqual(values);
  });

  it("gives every request its own rows, whatever comes in whatever order", async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = randomSource(seed);
      const whole = (to: number) => Math.floor(random.uniform() * (to + 1));
      const { session } = rowModel();
      const limit = 1 + whole(60);
      const batcher = createBatcher(session, (elements) => elements <= limit);
      const asked = Array.from({ length: 40 }, async (_, index) => {
        for (let turns = whole(5); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
        const width = 1 + whole(2);
        const rows = Array.from({ length: whole(4) }, () =>
          Array.from({ length: width }, () => (whole(30) === 0 ? 13 : 100 + whole(1000))),
        );
        const names = [["sum"], ["first"], ["sum", "first"], ["first", "sum"]][whole(3)] ?? [];
        const isRefused = rows.flat().includes(13);
        const label = `seed ${seed}, request ${index}`;
        const answer = await batcher.run(request(rows, width), names, patient).catch((error: Error) => error);
        if (isRefused) return expect((answer as Error).message, label).toBe(`13 in ${rows.length} rows`);
        if (answer instanceof Error) throw new Error(`${label} failed: ${answer.message}`);
        expect(Object.keys(answer.outputs).sort(), label).toEqual([...names].sort());
        const sums = rows.map((row) => row.reduce((total, value) => total + value, 0));
        if (names.includes("sum")) expect(dataOf(answer.outputs, "sum"), label).toEqual(sums);
        if (names.includes("first")) {
          expect(dataOf(answer.outputs, "first"), label).toEqual(rows.map(([first]) => first));
        }
        return undefined;
      });
      await Promise.all(asked);
    }
  });

  it("lets a faulty request fail alone", async () => {
    const { session } = rowModel();
    const batcher = createBatcher(session, always);
    const answers = await Promise.allSettled(
      [[1], [2], [13], [4]].map((row) => batcher.run(request([row]), ["sum"], patient)),
    );
    expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    expect(answers.map((answer) => (answer.status === "fulfilled" ? answer.value.executions : null))).toEqual(
      [1, 1, null, 1],
    );
  });

  it("answers each alone when a joint run gives another number of rows", async () => {
    const runs: number[] = [];
    const session = {
      async run({ X }: Tensors) {
        runs.push(X?.shape[0] ?? 0);
        await new Promise((resolve) => setImmediate(resolve));
        const sum = [...(X?.data ?? [])].map(Number).reduce((total, value) => total + value, 0);
        return {
          outputs: { sum: { datatype: "FP32" as const, shape: [1], data: Float32Array.of(sum) } },
          runMs: 1,
        };
      },
    };
    const batcher = createBatcher(session, always);
    const answers = await Promise.all(
      [1, 2, 3].map((value) => batcher.run(request([[value]]), ["sum"], patient)),
    );
    expect(answers.map(({ outputs }) => dataOf(outputs, "sum"))).toEqual([[1], [2], [3]]);
    expect(runs).toEqual([1, 2, 1, 1]);
  });

  it("goes on when rows cannot even be joined", async () => {
    const { session } = rowModel();
    const batcher = createBatcher(session, always);
    const odd = { X: { datatype: "FP32", shape: [1, 1], data: BigInt64Array.of(7n) } } as const;
    const answers = await Promise.allSettled([
      batcher.run(request([[1]]), ["sum"], patient),
      batcher.run(request([[2]]), ["sum"], patient),
      batcher.run(odd, ["sum"], patient),
      batcher.run(request([[3]]), ["sum"], patient),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    expect((await batcher.run(request([[4]]), ["sum"], patient)).executions).toBe(1);
  });

  it("joins only requests for the same outputs, passing over others that wait between them", async () => {
    const { runs, session } = rowModel();
    const batcher = createBatcher(session, always);
    const answers = await Promise.all(
      ["sum", "sum", "first", "sum", "first"].map((name, index) =>
        batcher.run(request([[index, 100]]), [name], patient),
      ),
    );
    expect(runs).toEqual([
      { rows: 1, outputs: ["sum"] },
      { rows: 2, outputs: ["sum"] },
      { rows: 2, outputs: ["first"] },
    ]);
    expect(answers.map(({ outputs }) => Object.keys(outputs))).toEqual([
      ["sum"],
      ["sum"],
      ["first"],
      ["sum"],
      ["first"],
    ]);
  });

  it("joins only rows of the same form", async () => {
    const { runs, session } = rowModel();
    const batcher = createBatcher(session, always);
    await Promise.all(
      [[1], [1], [1, 2], [1, 2], [1]].map((row) => batcher.run(request([row]), ["sum"], patient)),
    );
    expect(runs.map(({ rows }) => rows)).toEqual([1, 2, 2]);
  });

  it("counts elements, not requests, against what a run may take", async () => {
    const { runs, session } = rowModel();
    const batcher = createBatcher(session, (elements) => elements <= 4);
    const rows = (count: number) => Array.from({ length: count }, (_, i) => [i]);
    await Promise.all([1, 3, 2, 1, 1].map((count) => batcher.run(request(rows(count)), ["sum"], patient)));
    expect(runs.map((run) => run.rows)).toEqual([1, 4, 3]);
  });

  it("leaves large requests alone, whose copying costs more than a run", async () => {
    const { runs, session } = rowModel();
    const batcher = createBatcher(session, always);
    const large = Array.from({ length: 100 }, () => new Array<number>(100).fill(1));
    const small = [new Array<number>(100).fill(1)];
    await Promise.all(
      [small, large, large, small, small].map((rows) => batcher.run(request(rows), ["sum"], patient)),
    );
    expect(runs.map(({ rows }) => rows)).toEqual([1, 102, 100]);
  });

  it("never joins a request without rows", async () => {
    const { runs, session } = rowModel();
    const batcher = createBatcher(session, always);
    const [, empty] = await Promise.all([
      batcher.run(request([[1]]), ["sum"], patient),
      batcher.run(request([], 1), ["sum"], patient),
      batcher.run(request([[2]]), ["sum"], patient),
    ]);
    expect(dataOf(empty.outputs, "sum")).toEqual([]);
    expect(runs.map(({ rows }) => rows)).toEqual([1, 0, 1]);
  });

  it("does not run what its caller gave up, nor what waited too long", async () => {
    const { runs, session } = rowModel();
    const batcher = createBatcher(session, always);
    const caller = { isGone: false };
    const answers = Promise.allSettled([
      batcher.run(request([[1]]), ["sum"], patient),
      batcher.run(request([[2]]), ["sum"], { timeoutMs: 60_000, caller }),
      batcher.run(request([[3]]), ["sum"], { timeoutMs: -1 }),
      batcher.run(request([[4]]), ["sum"], patient),
    ]);
    caller.isGone = true;
    const [first, given, late, last] = await answers;
    expect([first?.status, last?.status]).toEqual(["fulfilled", "fulfilled"]);
    expect(given).toMatchObject({ reason: { kind: "unavailable", message: "The request was given up." } });
    expect(late).toMatchObject({ reason: { kind: "timeout" } });
    expect(runs.map(({ rows }) => rows)).toEqual([1, 1]);
  });
});
