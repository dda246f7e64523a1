import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

interface RegisteredModel {
  name: string;
  creation_timestamp: number;
  last_updated_timestamp: number;
  description?: string;
  latest_versions?: { version: string; current_stage: string }[];
  aliases?: { alias: string; version: string }[];
  tags?: { key: string; value: string }[];
}

let ground: MlflowGround;
let count = 0;
beforeAll(async () => {
  ground = await mlflowGround();
});
afterAll(() => ground?.close());

const create = async (fields: object = {}) => {
  const name = `model ${++count}`;
  await ground.ask("POST", "/registered-models/create", { name, ...fields });
  return name;
};
const get = async (name: string) =>
  (await ground.ask<{ registered_model: RegisteredModel }>("GET", "/registered-models/get", { name }))
    .registered_model;

describe("a registered model", () => {
  it("is told back as MLflow writes it", async () => {
    const answer = await ground.ask("POST", "/registered-models/create", {
      name: "delays",
      description: "is a flight late",
      tags: [
        { key: "t", value: "1" },
        { key: "t", value: "2" },
      ],
    });
    const model = {
      name: "delays",
      creation_timestamp: ground.clock(),
      last_updated_timestamp: ground.clock(),
      description: "is a flight late",
      tags: [{ key: "t", value: "2" }],
    };
    expect(answer).toEqual({ registered_model: model });
    expect(await get("delays")).toEqual(model);
    expect(await get(await create())).not.toHaveProperty("description");
  });

  it("has a name of its own", async () => {
    const name = await create();
    expectMlflowError(
      await ground.send("POST", "/registered-models/create", { name }),
      400,
      "RESOURCE_ALREADY_EXISTS",
      /Registered Model \(name=model \d+\) already exists/,
    );
  });

  it.each(["a/b", "a:b", "..", "   "])("cannot be called '%s'", async (name) => {
    expectMlflowError(
      await ground.send("POST", "/registered-models/create", { name }),
      400,
      "INVALID_PARAMETER_VALUE",
    );
  });

  it("is 404 everywhere when it is not there", async () => {
    for (const [method, path, fields] of [
      ["GET", "/registered-models/get", {}],
      ["PATCH", "/registered-models/update", {}],
      ["POST", "/registered-models/rename", { new_name: "x" }],
      ["DELETE", "/registered-models/delete", {}],
      ["POST", "/registered-models/set-tag", { key: "t" }],
      ["DELETE", "/registered-models/delete-tag", { key: "t" }],
      ["POST", "/registered-models/get-latest-versions", {}],
      ["POST", "/registered-models/alias", { alias: "a", version: "1" }],
      ["DELETE", "/registered-models/alias", { alias: "a" }],
      ["GET", "/registered-models/alias", { alias: "a" }],
      ["POST", "/model-versions/create", { source: "s3://b/m" }],
      ["GET", "/model-versions/get", { version: "1" }],
    ] as const) {
      const answer = await ground.send(method, path, { name: "nobody", ...fields });
      expectMlflowError(
        answer,
        404,
        "RESOURCE_DOES_NOT_EXIST",
        /Registered Model with name=nobody not found/,
      );
    }
  });

  it("can be described and renamed with its versions", async () => {
    const name = await create();
    await ground.ask("POST", "/model-versions/create", { name, source: "s3://b/m" });
    ground.clock.advance(100);
    await ground.ask("PATCH", "/registered-models/update", { name, description: "better" });
    expect(await get(name)).toMatchObject({ description: "better", last_updated_timestamp: ground.clock() });
    const other = await create();
    expectMlflowError(
      await ground.send("POST", "/registered-models/rename", { name, new_name: other }),
      400,
      "RESOURCE_ALREADY_EXISTS",
    );
    await ground.ask("POST", "/registered-models/rename", { name, new_name: "a new name" });
    expect((await get("a new name")).latest_versions).toHaveLength(1);
    expect((await ground.send("GET", "/registered-models/get", { name })).status).toBe(404);
    expect(
      (await ground.send("GET", "/model-versions/get", { name: "a new name", version: "1" })).status,
    ).toBe(200);
  });

  it("keeps the last value of a tag; deleting a missing one changes nothing", async () => {
    const name = await create();
    for (const value of ["1", "2"])
      await ground.ask("POST", "/registered-models/set-tag", { name, key: "t", value });
    expect((await get(name)).tags).toEqual([{ key: "t", value: "2" }]);
    for (let twice = 0; twice < 2; twice++) {
      await ground.ask("DELETE", "/registered-models/delete-tag", { name, key: "t" });
    }
    expect(await get(name)).not.toHaveProperty("tags");
    await ground.ask("POST", "/registered-models/set-tag", { name, key: "t", value: "x".repeat(100_000) });
    expectMlflowError(
      await ground.send("POST", "/registered-models/set-tag", { name, key: "t", value: "x".repeat(100_001) }),
      400,
      "INVALID_PARAMETER_VALUE",
      /maximum length of 100000/,
    );
  });

  it("is deleted for good, and its name is free again", async () => {
    const name = await create();
    await ground.ask("POST", "/model-versions/create", { name, source: "s3://b/m" });
    await ground.ask("DELETE", "/registered-models/delete", { name });
    expectMlflowError(
      await ground.send("DELETE", "/registered-models/delete", { name }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
    );
    await ground.ask("POST", "/registered-models/create", { name });
    expect(await get(name)).not.toHaveProperty("latest_versions");
  });
});

describe("searching registered models", () => {
  let own: MlflowGround;
  beforeAll(async () => {
    own = await mlflowGround();
    for (const [name, tags] of [
      ["alpha", [{ key: "team", value: "a" }]],
      ["Beta", []],
      ["gamma", [{ key: "team", value: "b" }]],
      ["prompt", [{ key: "mlflow.prompt.is_prompt", value: "true" }]],
    ] as const) {
      own.clock.advance(10);
      await own.ask("POST", "/registered-models/create", { name, tags });
    }
  });
  afterAll(() => own?.close());

  const search = async (fields: object = {}) => {
    const answer = await own.ask<{ registered_models?: RegisteredModel[]; next_page_token?: string }>(
      "GET",
      "/registered-models/search",
      fields,
    );
    return { names: (answer.registered_models ?? []).map(({ name }) => name), token: answer.next_page_token };
  };

  it("goes by name, and leaves prompts out unless they are asked for", async () => {
    expect((await search()).names).toEqual(["Beta", "alpha", "gamma"]);
    expect((await search({ filter: "tags.`mlflow.prompt.is_prompt` = 'true'" })).names).toEqual(["prompt"]);
  });

  it.each([
    ["name = 'alpha'", ["alpha"]],
    ["name LIKE '%a'", ["Beta", "alpha", "gamma"]],
    ["name ILIKE 'b%'", ["Beta"]],
    ["tags.team = 'a'", ["alpha"]],
    ["tags.team != 'a'", ["gamma"]],
    // A missing tag counts as "false" for this one key, which MLflow's client adds to every search.
    ["tag.`mlflow.prompt.is_prompt` != 'true'", ["Beta", "alpha", "gamma"]],
    ["name LIKE '%a' AND tag.`mlflow.prompt.is_prompt` != 'true' AND tags.team = 'b'", ["gamma"]],
  ])("filters by %s", async (filter, expected) => {
    expect((await search({ filter })).names).toEqual(expected);
  });

  it("orders, and pages by token", async () => {
    expect((await search({ order_by: "last_updated_timestamp DESC" })).names).toEqual([
      "gamma",
      "Beta",
      "alpha",
    ]);
    expect((await search({ order_by: ["timestamp ASC", "name DESC"] })).names).toEqual([
      "alpha",
      "Beta",
      "gamma",
    ]);
    const first = await search({ max_results: 2, order_by: "name DESC" });
    const second = await search({ max_results: 2, order_by: "name DESC", page_token: first.token });
    expect([first.names, second.names, second.token]).toEqual([["gamma", "alpha"], ["Beta"], undefined]);
  });

  it.each([
    [{ filter: "name IN ('a')" }, /Invalid comparator 'IN'/],
    [{ filter: "color = 'x'" }, /Invalid attribute key 'color'/],
    [{ filter: "run_id = 'x'" }, /Invalid attribute key 'run_id'/],
    [{ filter: "creation_timestamp > 1" }, /Invalid attribute key/],
    [{ filter: "metrics.x > 1" }, /Invalid entity type/],
    [{ order_by: "color" }, /Invalid attribute key 'color'/],
    [{ order_by: ["timestamp", "last_updated_timestamp"] }, /duplicate fields/],
    [{ max_results: 1001 }, /at most 1000/],
    [{ max_results: 0 }, /positive integer/],
    [{ page_token: "x" }, /Invalid page token/],
  ])("refuses %j", async (fields, message) => {
    const answer = await own.send("GET", "/registered-models/search", fields);
    expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", message);
  });
});
