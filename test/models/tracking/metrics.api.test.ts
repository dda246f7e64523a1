import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MlflowGround, mlflowGround, runCalls } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

let ground: MlflowGround;
beforeAll(async () => {
  ground = await mlflowGround();
});
afterAll(() => ground?.close());

const { get, newRunId } = runCalls(() => ground);

describe("metrics", () => {
  const log = (run_id: string, fields: object) =>
    ground.ask("POST", "/runs/log-metric", { run_id, key: "m", ...fields });
  const latest = async (run_id: string) => (await get(run_id)).data.metrics?.[0];
  const history = async (run_id: string, fields: object = {}) =>
    ground.ask<{ metrics?: object[]; next_page_token?: string }>("GET", "/metrics/get-history", {
      run_id,
      metric_key: "m",
      ...fields,
    });

  it("show the value of the highest step, then time, then value, not the one that came last", async () => {
    const run_id = await newRunId();
    await log(run_id, { value: 1, timestamp: 10, step: 5 });
    await log(run_id, { value: 2, timestamp: 99, step: 4 });
    expect(await latest(run_id)).toEqual({ key: "m", value: 1, timestamp: 10, step: 5 });
    await log(run_id, { value: 3, timestamp: 9, step: 5 });
    expect((await latest(run_id))?.value).toBe(1);
    await log(run_id, { value: 4, timestamp: 11, step: 5 });
    await log(run_id, { value: 3.5, timestamp: 11, step: 5 });
    expect((await latest(run_id))?.value).toBe(4);
    await log(run_id, { value: -1, timestamp: 0, step: 6 });
    expect((await latest(run_id))?.value).toBe(-1);
  });

  it("keep their history by time, step and value, without exact duplicates", async () => {
    const run_id = await newRunId();
    const points = [
      { value: 2, timestamp: 2, step: 0 },
      { value: 1, timestamp: 1, step: 7 },
      { value: 0.5, timestamp: 2, step: 0 },
      { value: 2, timestamp: 2, step: 0 },
    ];
    for (const point of points) await log(run_id, point);
    expect((await history(run_id)).metrics).toEqual([
      { key: "m", value: 1, timestamp: 1, step: 7 },
      { key: "m", value: 0.5, timestamp: 2, step: 0 },
      { key: "m", value: 2, timestamp: 2, step: 0 },
    ]);
  });

  it("hold NaN as itself and infinities as the largest numbers", async () => {
    const run_id = await newRunId();
    await log(run_id, { value: "NaN", timestamp: 1 });
    expect((await latest(run_id))?.value).toBe("NaN");
    await log(run_id, { value: "Infinity", timestamp: 2 });
    await log(run_id, { value: "-Infinity", timestamp: 3 });
    expect((await history(run_id)).metrics).toEqual([
      { key: "m", value: "NaN", timestamp: 1, step: 0 },
      { key: "m", value: Number.MAX_VALUE, timestamp: 2, step: 0 },
      { key: "m", value: -Number.MAX_VALUE, timestamp: 3, step: 0 },
    ]);
  });

  it("take numbers as text, as the query of a client may send them", async () => {
    const run_id = await newRunId();
    await log(run_id, { value: "0.25", timestamp: "12", step: "-3" });
    expect(await latest(run_id)).toEqual({ key: "m", value: 0.25, timestamp: 12, step: -3 });
  });

  it("hand out the whole history without max_results, and pages with it", async () => {
    const run_id = await newRunId();
    const metrics = Array.from({ length: 25 }, (_, step) => ({
      key: "m",
      value: step,
      timestamp: 1000,
      step,
    }));
    await ground.ask("POST", "/runs/log-batch", { run_id, metrics });
    expect((await history(run_id)).metrics).toHaveLength(25);
    const seen: object[] = [];
    let page_token: string | undefined;
    do {
      const page = await history(run_id, {
        max_results: 10,
        ...(page_token === undefined ? {} : { page_token }),
      });
      seen.push(...(page.metrics ?? []));
      page_token = page.next_page_token;
    } while (page_token !== undefined);
    expect(seen).toEqual(metrics);
    expect(await history(run_id, { metric_key: "other" })).toEqual({});
    for (const fields of [
      { max_results: 0 },
      { max_results: -1 },
      { max_results: 5, page_token: "garbage" },
    ]) {
      const answer = await ground.send("GET", "/metrics/get-history", { run_id, metric_key: "m", ...fields });
      expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE");
    }
  });

  it("give the histories of several runs at once, and an even sample of them", async () => {
    const ids = [await newRunId(), await newRunId()].toSorted();
    for (const run_id of ids) {
      const metrics = Array.from({ length: 100 }, (_, step) => ({
        key: "m",
        value: step,
        timestamp: step,
        step,
      }));
      await ground.ask("POST", "/runs/log-batch", { run_id, metrics });
    }
    type Metrics = { metrics?: { run_id: string; step: number }[] };
    const bulk = await ground.ask<Metrics>("GET", "/metrics/get-history-bulk", {
      run_id: ids,
      metric_key: "m",
    });
    expect(bulk.metrics?.map(({ run_id }) => run_id)).toEqual([
      ...Array(100).fill(ids[0]),
      ...Array(100).fill(ids[1]),
    ]);
    const sample = async (fields: object) => {
      const answer = await ground.ask<Metrics>("GET", "/metrics/get-history-bulk-interval", {
        run_ids: ids[0],
        metric_key: "m",
        ...fields,
      });
      return answer.metrics?.map(({ step }) => step);
    };
    expect(await sample({ max_results: 5 })).toEqual([0, 20, 40, 60, 99]);
    expect(await sample({ max_results: 1 })).toEqual([99]);
    expect(await sample({ max_results: 2500 })).toHaveLength(100);
    expect(await sample({ max_results: 3, start_step: 10, end_step: 12 })).toEqual([10, 11, 12]);
    for (const fields of [
      { start_step: 1 },
      { start_step: 2, end_step: 1 },
      { max_results: 0 },
      { run_ids: [] },
    ]) {
      const answer = await ground.send("GET", "/metrics/get-history-bulk-interval", {
        run_ids: ids,
        metric_key: "m",
        ...fields,
      });
      expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE");
    }
    expectMlflowError(
      await ground.send("GET", "/metrics/get-history-bulk", {
        run_id: Array(101).fill("a"),
        metric_key: "m",
      }),
      400,
      "INVALID_PARAMETER_VALUE",
      /more than 100 run_ids/,
    );
  });

  it.each([
    [{ value: "abc" }, /Invalid value "abc" for parameter 'value'/],
    [{ value: true }, /Invalid value true for parameter 'value'/],
    [{ value: undefined }, /Missing value for required parameter 'value'/],
    [{ timestamp: undefined }, /Missing value for required parameter 'timestamp'/],
    [{ timestamp: -1 }, /Timestamp must be a nonnegative long/],
    [{ timestamp: 1.5 }, /parameter 'timestamp'/],
    [{ step: "x" }, /parameter 'step'/],
    [{ key: undefined }, /Missing value for required parameter 'key'/],
  ])("refuse %j", async (fields, message) => {
    const run_id = await newRunId();
    const answer = await ground.send("POST", "/runs/log-metric", {
      run_id,
      key: "m",
      value: 1,
      timestamp: 1,
      ...fields,
    });
    expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", message);
  });
});
