import { describe, expect, it } from "vitest";
import { runTarget } from "../../../../models/tracking/store/runs.ts";
import { orderOf } from "../../../../shared/mlflow/filter/order.ts";
import { parseFilter } from "../../../../shared/mlflow/filter/parse.ts";

describe("parsing a filter", () => {
  const parsed = (source: string) =>
    parseFilter(source).map(({ prefix, key, operator, value }) => [prefix, key, operator, value]);
  const text = (text: string) => ({ kind: "text", text });
  const integer = (number: number) => ({ kind: "number", number, isInteger: true });
  const decimal = (number: number) => ({ kind: "number", number, isInteger: false });

  it.each([
    ["", []],
    ["  \n ", []],
    ["metrics.a > 1", [["metrics", "a", ">", integer(1)]]],
    ["metrics.a.b.c<=-.5e3", [["metrics", "a.b.c", "<=", decimal(-500)]]],
    ["metrics.`a b/c-d` = +2.", [["metrics", "a b/c-d", "=", decimal(2)]]],
    [
      "metrics.5 > 1 and metrics.5a > 1",
      [
        ["metrics", "5", ">", integer(1)],
        ["metrics", "5a", ">", integer(1)],
      ],
    ],
    ['params."x" != "y"', [["params", "x", "!=", text("y")]]],
    ["name = 'it''s'", [[undefined, "name", "=", text("it's")]]],
    ["tags.`a``b` <> ''", [["tags", "a`b", "!=", text("")]]],
    ["`Run Name` like '%'", [[undefined, "Run Name", "LIKE", text("%")]]],
    ["`tags`.x is not null", [["tags", "x", "IS NOT NULL", null]]],
    ["a IN ('x',)", [[undefined, "a", "IN", { kind: "list", texts: ["x"] }]]],
    ["a IN ()", [[undefined, "a", "IN", { kind: "list", texts: [] }]]],
    ["run_id not in ('a', \"b\")", [[undefined, "run_id", "NOT IN", { kind: "list", texts: ["a", "b"] }]]],
    [
      "and = 'and' and like = 'x'",
      [
        [undefined, "and", "=", text("and")],
        [undefined, "like", "=", text("x")],
      ],
    ],
  ])("reads %j", (source, expected) => {
    expect(parsed(source)).toEqual(expected);
  });

  it.each([
    ["a = 1 OR b = 2", 7],
    ["a = 1 b = 2", 7],
    ["(a = 1)", 1],
    ["a ~ 1", 3],
    ["a =", 4],
    ["a = `x`", 5],
    ["a = 'x", 5],
    ["a = x", 5],
    ["a IN 'x'", 6],
    ["a IN ('x' 'y')", 11],
    ["a IN (,)", 7],
    ["a IN ('x',,)", 11],
    ["a NOT LIKE 'x'", 7],
    ["a IS 1", 6],
    ["AND a = 1", 5],
    ["a = 1 AND", 10],
    ["metrics. = 1", 10],
    ["1 = a", 1],
    ["a = 1; drop table x", 6],
    ["a = 1 -- x", 7],
  ])("says where %j stops being a filter: position %i", (source, position) => {
    expect(() => parseFilter(source)).toThrow(new RegExp(`at position ${position}\\.`));
  });

  it("gives up on no filter, however odd, with anything but such an error", () => {
    const pieces = [
      "metrics",
      ".",
      "`",
      "'",
      '"',
      "(",
      ")",
      ",",
      "=",
      "!=",
      " ",
      "1",
      "-",
      "and",
      "in",
      "is",
      "null",
      "é",
      "\\",
      "%",
    ];
    let state = 12345;
    const next = (bound: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * bound);
    };
    for (let round = 0; round < 20_000; round++) {
      const source = Array.from({ length: next(12) }, () => pieces[next(pieces.length)]).join("");
      try {
        parseFilter(source);
      } catch (error) {
        expect(String(error), source).toMatch(/Invalid clause\(s\) in filter string: .* at position \d+\./);
      }
    }
  });
});

describe("parsing an order", () => {
  const parsed = (...items: string[]) =>
    orderOf(items, runTarget).map((item) => [
      item.entity,
      item.entity === "attribute" ? item.name : item.key,
      item.ascending,
    ]);

  it.each([
    ["metrics.a", ["metric", "a", true]],
    ["metrics.val/loss desc", ["metric", "val/loss", false]],
    ["  params.`a b`   ASC ", ["param", "a b", true]],
    ['tags."x.y" DESC', ["tag", "x.y", false]],
    ["start_time DESC", ["attribute", "start_time", false]],
    ["attributes.status", ["attribute", "status", true]],
    ["`Run Name` DESC", ["attribute", "Run Name", false]],
  ])("reads %j", (item, expected) => {
    expect(parsed(item)).toEqual([expected]);
  });

  it.each(["metrics.a b", "metrics.a DESC ASC", "", "metrics.`a b", "foo.a", "color"])(
    "refuses %j",
    (item) => {
      expect(() => parsed(item)).toThrow(/order_by|Invalid entity type/);
    },
  );

  it("refuses the same key twice, also under another name", () => {
    expect(() => parsed("start_time", "Created DESC")).toThrow(/duplicate fields/);
  });

  it("refuses more keys than SQLite can join", () => {
    expect(() => parsed(...Array.from({ length: 31 }, (_, index) => `metrics.m${index}`))).toThrow(
      /At most 30/,
    );
  });
});
