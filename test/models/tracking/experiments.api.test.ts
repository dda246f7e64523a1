import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

interface ExperimentAnswer {
  experiment: {
    experiment_id: string;
    name: string;
    lifecycle_stage: string;
    creation_time: number;
    last_update_time: number;
    tags?: { key: string; value: string }[];
  };
}

describe("experiments", () => {
  let ground: MlflowGround;
  let count = 0;
  beforeAll(async () => {
    ground = await mlflowGround();
  });
  afterAll(() => ground?.close());

  const create = async (fields: object = {}) => {
    const { experiment_id } = await ground.ask<{ experiment_id: string }>("POST", "/experiments/create", {
      name: `experiment ${++count}`,
      ...fields,
    });
    return experiment_id;
  };
  const get = async (experiment_id: string) =>
    (await ground.ask<ExperimentAnswer>("GET", "/experiments/get", { experiment_id })).experiment;

  it("begin with one that is called Default and has the id 0", async () => {
    expect(await get("0")).toMatchObject({ name: "Default", artifact_location: "mlflow-artifacts:/0" });
  });

  it("keep their artifacts below their id unless told otherwise", async () => {
    const id = await create();
    expect(await get(id)).toMatchObject({ artifact_location: `mlflow-artifacts:/${id}` });
    const elsewhere = await create({ artifact_location: "s3://bucket/place/" });
    expect(await get(elsewhere)).toMatchObject({ artifact_location: "s3://bucket/place" });
  });

  it.each(["runs:/1/x", "mlflow-artifacts:/1/../2", "s3://bucket/%2e%2e/x", "s3://bucket/x?y"])(
    "refuse the artifact location %s",
    async (artifact_location) => {
      const answer = await ground.send("POST", "/experiments/create", {
        name: `at ${artifact_location}`,
        artifact_location,
      });
      expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE");
    },
  );

  it("leave out what is empty", async () => {
    expect(await get(await create())).not.toHaveProperty("tags");
    expect(await get(await create({ tags: [{ key: "a", value: "1" }] }))).toMatchObject({
      tags: [{ key: "a", value: "1" }],
    });
  });

  it("have names of their own, deleted ones too", async () => {
    const name = "taken";
    const id = await create({ name });
    expectMlflowError(
      await ground.send("POST", "/experiments/create", { name }),
      400,
      "RESOURCE_ALREADY_EXISTS",
      /Experiment\(name=taken\) already exists/,
    );
    await ground.ask("POST", "/experiments/delete", { experiment_id: id });
    expectMlflowError(
      await ground.send("POST", "/experiments/create", { name }),
      400,
      "RESOURCE_ALREADY_EXISTS",
      /deleted: restore it/,
    );
  });

  it("have names of at most 500 characters", async () => {
    await create({ name: "\u{1F6EB}".repeat(500) });
    expectMlflowError(
      await ground.send("POST", "/experiments/create", { name: "x".repeat(501) }),
      400,
      "INVALID_PARAMETER_VALUE",
      /'name' exceeds the maximum length of 500 characters/,
    );
  });

  it("answer 404 for an unknown name or id, and 400 for an id that is no number", async () => {
    expectMlflowError(
      await ground.send("GET", "/experiments/get-by-name", { experiment_name: "nobody" }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
      /Could not find experiment with name 'nobody'/,
    );
    expectMlflowError(
      await ground.send("GET", "/experiments/get", { experiment_id: "999999" }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
    );
    for (const experiment_id of ["abc", "1.5", "-1", "99999999999999999999"]) {
      expectMlflowError(
        await ground.send("GET", "/experiments/get", { experiment_id }),
        400,
        "INVALID_PARAMETER_VALUE",
        /must be a valid integer/,
      );
    }
  });

  it("can be deleted with their runs, once, and restored with them", async () => {
    const experiment_id = await create();
    const { run } = await ground.ask<{ run: { info: { run_id: string } } }>("POST", "/runs/create", {
      experiment_id,
    });
    const stages = async () => {
      const read = await ground.ask<{ run: { info: { lifecycle_stage: string } } }>(
        "GET",
        "/runs/get",
        run.info,
      );
      return [(await get(experiment_id)).lifecycle_stage, read.run.info.lifecycle_stage];
    };
    await ground.ask("POST", "/experiments/delete", { experiment_id });
    expect(await stages()).toEqual(["deleted", "deleted"]);
    expectMlflowError(
      await ground.send("POST", "/experiments/delete", { experiment_id }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
    );
    await ground.ask("POST", "/experiments/restore", { experiment_id });
    expect(await stages()).toEqual(["active", "active"]);
    expectMlflowError(
      await ground.send("POST", "/experiments/restore", { experiment_id }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
    );
  });

  it("take no run, tag or new name while deleted", async () => {
    const experiment_id = await create();
    await ground.ask("POST", "/experiments/delete", { experiment_id });
    for (const [path, fields] of [
      ["/runs/create", {}],
      ["/experiments/set-experiment-tag", { key: "a", value: "b" }],
      ["/experiments/update", { new_name: "renamed while deleted" }],
    ] as const) {
      const answer = await ground.send("POST", path, { experiment_id, ...fields });
      expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", /active/);
    }
  });

  it("can be renamed, but not to a name that is taken", async () => {
    const experiment_id = await create({ name: "before" });
    const created = await get(experiment_id);
    ground.clock.advance(5000);
    await ground.ask("POST", "/experiments/update", { experiment_id, new_name: "after" });
    expect(await get(experiment_id)).toMatchObject({
      name: "after",
      creation_time: created.creation_time,
      last_update_time: created.last_update_time + 5000,
    });
    await create({ name: "other" });
    expectMlflowError(
      await ground.send("POST", "/experiments/update", { experiment_id, new_name: "other" }),
      400,
      "RESOURCE_ALREADY_EXISTS",
    );
  });

  it("keep the last value of a tag and lose it on request", async () => {
    const experiment_id = await create();
    const set = (key: string, value: string) =>
      ground.send("POST", "/experiments/set-experiment-tag", { experiment_id, key, value });
    await set("team", "a");
    await set("team", "b");
    expect((await get(experiment_id)).tags).toEqual([{ key: "team", value: "b" }]);
    expectMlflowError(
      await set("team", "x".repeat(20_001)),
      400,
      "INVALID_PARAMETER_VALUE",
      /maximum length/,
    );
    expectMlflowError(await set("../x", "y"), 400, "INVALID_PARAMETER_VALUE", /resolve to/);
    await ground.ask("POST", "/experiments/delete-experiment-tag", { experiment_id, key: "team" });
    expectMlflowError(
      await ground.send("POST", "/experiments/delete-experiment-tag", { experiment_id, key: "team" }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
      /No tag with name: team/,
    );
  });

  it("write deletions, restorations and renamings to the audit log", async () => {
    const experiment_id = await create();
    await ground.ask("POST", "/experiments/delete", { experiment_id });
    const entries = await ground.audit.list({ subject: `experiment/${experiment_id}` }, undefined, 10);
    expect(entries.map(({ action }) => action)).toEqual(["experiment.delete", "experiment.create"]);
  });
});

describe("searching experiments", () => {
  let ground: MlflowGround;
  beforeAll(async () => {
    ground = await mlflowGround();
    for (const [index, name] of ["alpha", "Beta", "gamma"].entries()) {
      ground.clock.advance(1000);
      const tags = index === 1 ? [] : [{ key: "team", value: name.toUpperCase() }];
      await ground.ask("POST", "/experiments/create", { name, tags });
    }
    await ground.ask("POST", "/experiments/delete", { experiment_id: "3" });
  });
  afterAll(() => ground?.close());

  const search = async (fields: object) => {
    const answer = await ground.ask<{ experiments?: { name: string }[]; next_page_token?: string }>(
      "POST",
      "/experiments/search",
      { max_results: 100, ...fields },
    );
    return { names: (answer.experiments ?? []).map(({ name }) => name), token: answer.next_page_token };
  };

  it("shows active ones, newest first, unless another view is asked for", async () => {
    // Default is as old as the database, whose clock is not the test's.
    const names = async (fields: object) => (await search(fields)).names.filter((name) => name !== "Default");
    expect(await names({})).toEqual(["Beta", "alpha"]);
    expect(await names({ view_type: "DELETED_ONLY" })).toEqual(["gamma"]);
    expect(await names({ view_type: "ALL" })).toEqual(["gamma", "Beta", "alpha"]);
    expect(await names({ view_type: 3 })).toEqual(["gamma", "Beta", "alpha"]);
  });

  it.each([
    ["name = 'alpha'", ["alpha"]],
    ["name LIKE 'B%'", ["Beta"]],
    ["name LIKE 'b%'", []],
    ["name ILIKE 'b%'", ["Beta"]],
    ["tags.team = 'ALPHA' and attribute.name != 'x'", ["alpha"]],
    ["tag.team != 'x'", ["alpha"]],
    ["creation_time > 0 AND name != 'Default' AND last_update_time >= 1", ["alpha", "Beta"]],
  ])("filters by %s", async (filter, expected) => {
    expect((await search({ filter, order_by: ["name DESC"] })).names).toEqual(expected);
  });

  it("pages by token in the order that was asked for", async () => {
    const first = await search({ max_results: 2, order_by: ["name"], view_type: "ALL" });
    const second = await search({
      max_results: 2,
      order_by: ["name"],
      view_type: "ALL",
      page_token: first.token,
    });
    expect([first.names, second.names]).toEqual([
      ["Beta", "Default"],
      ["alpha", "gamma"],
    ]);
    expect(second.token).toBeUndefined();
  });

  it("needs a page size above 0", async () => {
    expectMlflowError(
      await ground.send("GET", "/experiments/search"),
      400,
      "INVALID_PARAMETER_VALUE",
      /max_results/,
    );
    expect((await ground.send("GET", "/experiments/search", { max_results: 1 })).status).toBe(200);
  });

  it.each([
    [{ filter: "metrics.a > 1" }, /Invalid entity type 'metrics'/],
    [{ filter: "nothing = 'x'" }, /Invalid attribute key 'nothing'/],
    [{ filter: "name > 'x'" }, /Invalid comparator '>'/],
    [{ order_by: ["color"] }, /Invalid attribute key 'color'/],
    [{ order_by: ["name UP"] }, /Could not be parsed/],
    [{ page_token: "garbage" }, /Invalid page token/],
    [{ max_results: 50_001 }, /max_results/],
  ])("refuses %j", async (fields, message) => {
    const answer = await ground.send("POST", "/experiments/search", { max_results: 5, ...fields });
    expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", message);
  });
});
