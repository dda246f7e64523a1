import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

describe("searching runs", () => {
  let ground: MlflowGround;
  const names = new Map<string, string>();

  beforeAll(async () => {
    ground = await mlflowGround();
    for (const [index, value] of [1, 2, "NaN", undefined, 3].entries()) {
      const { run } = await ground.ask<{ run: { info: { run_id: string } } }>("POST", "/runs/create", {
        experiment_id: "0",
        run_name: `run ${index}`,
        start_time: 1000 + index,
      });
      const { run_id } = run.info;
      names.set(run_id, `run ${index}`);
      if (value !== undefined)
        await ground.ask("POST", "/runs/log-metric", { run_id, key: "m", value, timestamp: 1 });
      await ground.ask("POST", "/runs/log-parameter", { run_id, key: "p", value: String(index) });
    }
    const deleted = [...names.keys()][4];
    await ground.ask("POST", "/runs/delete", { run_id: deleted });
  });
  afterAll(() => ground?.close());

  const search = async (fields: object) => {
    const answer = await ground.ask<{ runs?: { info: { run_id: string } }[]; next_page_token?: string }>(
      "POST",
      "/runs/search",
      { experiment_ids: ["0"], ...fields },
    );
    return {
      found: (answer.runs ?? []).map(({ info }) => names.get(info.run_id)),
      token: answer.next_page_token,
    };
  };

  it("shows active runs, the latest start first", async () => {
    expect((await search({})).found).toEqual(["run 3", "run 2", "run 1", "run 0"]);
    expect((await search({ run_view_type: "DELETED_ONLY" })).found).toEqual(["run 4"]);
    expect((await search({ run_view_type: "ALL" })).found).toHaveLength(5);
  });

  it("finds nothing in no experiment", async () => {
    expect(await ground.ask("POST", "/runs/search", {})).toEqual({});
    expect((await search({ experiment_ids: ["0", "77"] })).found).toHaveLength(4);
  });

  it("puts NaN after numbers and what has no value last, both ways", async () => {
    expect((await search({ order_by: ["metrics.m"] })).found).toEqual(["run 0", "run 1", "run 2", "run 3"]);
    expect((await search({ order_by: ["metrics.m DESC"] })).found).toEqual([
      "run 1",
      "run 0",
      "run 2",
      "run 3",
    ]);
  });

  it("holds that NaN differs from every number", async () => {
    expect((await search({ filter: "metrics.m != 1", order_by: ["metrics.m"] })).found).toEqual([
      "run 1",
      "run 2",
    ]);
    expect((await search({ filter: "metrics.m <= 0" })).found).toEqual([]);
  });

  it("goes on where a page ended, though runs came in between", async () => {
    const first = await search({ max_results: 2 });
    await ground.ask("POST", "/runs/create", { experiment_id: "0", start_time: 9999 });
    const second = await search({ max_results: 2, page_token: first.token });
    expect([first.found, second.found]).toEqual([
      ["run 3", "run 2"],
      ["run 1", "run 0"],
    ]);
  });

  it.each([
    [
      { filter: "metrics.m > 1 OR metrics.m < 0" },
      /Invalid clause\(s\) in filter string: 'OR metrics.m < 0' at position 15/,
    ],
    [{ filter: "(metrics.m > 1)" }, /at position 1\./],
    [{ filter: "metrics.m > '1'" }, /Expected numeric value type for metric/],
    [{ filter: "params.p = 1" }, /Expected a quoted string value for param/],
    [{ filter: "params.p > '1'" }, /Invalid comparator '>'/],
    [{ filter: "params.p = x" }, /either not quoted/],
    [{ filter: "dummy.p = 'x'" }, /Invalid entity type 'dummy'/],
    [{ filter: "attributes.color = 'x'" }, /Invalid attribute key 'color'/],
    [{ filter: "start_time = '1'" }, /Expected numeric value type for numeric attribute: start_time/],
    [{ filter: "status IN ('a')" }, /Invalid comparator 'IN'/],
    [{ filter: "metrics.m IS NULL" }, /Invalid comparator 'IS NULL'/],
    [{ filter: "tags.a = 'x" }, /opened there and never closed/],
    [{ filter: "metrics.m >" }, /'?the end'? at position 12/],
    [{ filter: "metrics. > 1" }, /A key is expected after the dot/],
    [{ filter: "tags.a = 'x' AND" }, /name of a field is expected/],
    [{ filter: "metrics.a-b > 1" }, /is not understood|operator is expected/],
    [{ filter: "datasets.size = 'x'" }, /Invalid dataset key 'size'/],
    [{ filter: Array(101).fill("metrics.m > 1").join(" AND ") }, /at most 100 comparisons/],
    [{ filter: `tags.a LIKE '${"%".repeat(10_001)}'` }, /at most 10000 characters/],
    [{ filter: 5 }, /Invalid value 5 for parameter 'filter'/],
    [{ order_by: ["metrics.m", "metric.`m` DESC"] }, /duplicate fields/],
    [{ order_by: ["metrics.m UP"] }, /Could not be parsed/],
    [{ order_by: ["dummy.m"] }, /Invalid entity type 'dummy'/],
    [{ order_by: ["datasets.name"] }, /cannot be ordered by their data sets/],
    [{ order_by: [5] }, /parameter 'order_by\[0\]'/],
    [{ max_results: 0 }, /positive integer/],
    [{ max_results: 50_001 }, /at most 50000/],
    [{ page_token: "garbage" }, /Invalid page token/],
    [{ page_token: Buffer.from('{"offset":5}').toString("base64") }, /Invalid page token/],
    [{ page_token: Buffer.from('{"after":["a","b"]}').toString("base64") }, /Invalid page token/],
    [{ experiment_ids: ["x"] }, /must be a valid integer/],
    [{ run_view_type: "SOME" }, /ACTIVE_ONLY, DELETED_ONLY, ALL/],
  ])("refuses %j", async (fields, message) => {
    const answer = await ground.send("POST", "/runs/search", { experiment_ids: ["0"], ...fields });
    expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", message);
  });

  it.each([
    "metrics.m > 1e400",
    "start_time > 1.5 and end_time < 1e300",
    "tags.`mlflow.runName` = 'run 1' and run_name ILIKE 'RUN%'",
    "tags.\"x\" != 'it''s'",
    `run_id NOT IN (${Array(2000).fill("'a'").join(",")})`,
    "   ",
  ])("takes %s", async (filter) => {
    expect((await ground.send("POST", "/runs/search", { experiment_ids: ["0"], filter })).status).toBe(200);
  });
});
