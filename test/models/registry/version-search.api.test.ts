import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

interface Version {
  name: string;
  version: string;
}

describe("searching versions", () => {
  let own: MlflowGround;
  beforeAll(async () => {
    own = await mlflowGround();
    for (const name of ["b", "a"]) {
      await own.ask("POST", "/registered-models/create", { name });
      for (const run of ["r1", "r2"]) {
        own.clock.advance(10);
        await own.ask("POST", "/model-versions/create", {
          name,
          source: `s3://bucket/${name}/${run}`,
          run_id: run,
          tags: run === "r1" ? [{ key: "t", value: name }] : [],
        });
      }
    }
  });
  afterAll(() => own?.close());

  const search = async (fields: object = {}) => {
    const answer = await own.ask<{ model_versions?: Version[]; next_page_token?: string }>(
      "GET",
      "/model-versions/search",
      fields,
    );
    return {
      found: (answer.model_versions ?? []).map(({ name, version }) => name + version),
      token: answer.next_page_token,
    };
  };

  it("shows the latest change first", async () => {
    expect((await search()).found).toEqual(["a2", "a1", "b2", "b1"]);
  });

  it.each([
    ["name = 'a'", ["a2", "a1"]],
    ["name ILIKE 'A'", ["a2", "a1"]],
    ["run_id = 'r1'", ["a1", "b1"]],
    ["run_id IN ('r2', 'r3')", ["a2", "b2"]],
    ["source_path LIKE '%/b/%'", ["b2", "b1"]],
    ["version_number > 1 and name != 'b'", ["a2"]],
    ["tags.t = 'a'", ["a1"]],
    ["tag.`mlflow.prompt.is_prompt` != 'true' and name = 'b'", ["b2", "b1"]],
  ])("filters by %s", async (filter, expected) => {
    expect((await search({ filter })).found).toEqual(expected);
  });

  it("orders, and pages by token", async () => {
    expect((await search({ order_by: "name ASC" })).found).toEqual(["a2", "a1", "b2", "b1"]);
    expect((await search({ order_by: ["version_number ASC", "name DESC"] })).found).toEqual([
      "b1",
      "a1",
      "b2",
      "a2",
    ]);
    const first = await search({ max_results: 3 });
    const second = await search({ max_results: 3, page_token: first.token });
    expect([second.found, second.token]).toEqual([["b1"], undefined]);
  });

  it.each([
    [{ filter: "current_stage = 'Production'" }, /Invalid attribute key 'current_stage'/],
    [{ filter: "last_updated_timestamp > 1" }, /Invalid attribute key/],
    [{ filter: "version_number > 'x'" }, /Expected numeric value type/],
    [{ order_by: "run_link" }, /Invalid attribute key/],
    [{ max_results: 200_001 }, /at most 200000/],
    [{ page_token: "x" }, /Invalid page token/],
  ])("refuses %j", async (fields, message) => {
    expectMlflowError(
      await own.send("GET", "/model-versions/search", fields),
      400,
      "INVALID_PARAMETER_VALUE",
      message,
    );
  });
});
