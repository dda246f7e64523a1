import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemActor } from "../../../shared/identity/actor.ts";
import { type Answer, call } from "../../support/application.ts";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

interface Event {
  id: number;
  kind: string;
  alias: string | null;
  before: unknown;
  after: unknown;
  reason: string | null;
  actor: { id: string; name: string };
  atMs: number;
}

let ground: MlflowGround;
let count = 0;
beforeAll(async () => {
  ground = await mlflowGround();
});
afterAll(() => ground?.close());

const newModel = async (versions = 3) => {
  const name = `model-${++count}`;
  await ground.ask("POST", "/registered-models/create", { name });
  for (let index = 0; index < versions; index++) {
    await ground.ask("POST", "/model-versions/create", { name, source: "s3://b/m" });
  }
  return name;
};
const setAlias = (name: string, version: number | string, alias = "champion") =>
  ground.send("POST", "/registered-models/alias", { name, alias, version: String(version) });
const versionAt = async (name: string, alias = "champion") =>
  (await ground.registry.getByAlias(name, alias))?.version ?? null;
const history = async (name: string, query = ""): Promise<Event[]> => {
  const answer = await call(ground.app, "GET", `/api/v1/registry/${name}/history?${query}`);
  expect(answer.status).toBe(200);
  return (answer.body as { items: Event[] }).items;
};
const rollback = (name: string, body?: object): Promise<Answer> =>
  call(ground.app, "POST", `/api/v1/registry/${name}/aliases/champion/rollback`, body);

describe("an alias", () => {
  it("points at one version and moves", async () => {
    const name = await newModel();
    await setAlias(name, 1);
    await setAlias(name, 2);
    const answer = await ground.ask("GET", "/registered-models/alias", { name, alias: "champion" });
    expect(answer).toMatchObject({ model_version: { version: "2", aliases: ["champion"] } });
    expect(await ground.ask("GET", "/registered-models/get", { name })).toMatchObject({
      registered_model: { aliases: [{ alias: "champion", version: "2" }] },
    });
  });

  it("is deleted as often as one likes, then unknown", async () => {
    const name = await newModel();
    await setAlias(name, 1);
    for (let twice = 0; twice < 2; twice++) {
      await ground.ask("DELETE", "/registered-models/alias", { name, alias: "champion" });
    }
    expectMlflowError(
      await ground.send("GET", "/registered-models/alias", { name, alias: "champion" }),
      400,
      "INVALID_PARAMETER_VALUE",
      /^Registered model alias champion not found\.$/,
    );
  });

  it("goes with the version it points at", async () => {
    const name = await newModel();
    await setAlias(name, 2);
    await ground.ask("DELETE", "/model-versions/delete", { name, version: "2" });
    expect(await versionAt(name)).toBeNull();
  });

  it("latest is the newest version by itself", async () => {
    const name = await newModel();
    const answer = await ground.ask("GET", "/registered-models/alias", { name, alias: "Latest" });
    expect(answer).toMatchObject({ model_version: { version: "3" } });
  });

  it.each([
    ["latest", /reserved/],
    ["LATEST", /reserved/],
    ["v1", /reserved/],
    ["V22", /reserved/],
    ["a b", /only contain alphanumerics/],
    ["a/b", /only contain alphanumerics/],
    ["x".repeat(256), /maximum length of 255/],
  ])("cannot be called %s", async (alias, message) => {
    expectMlflowError(await setAlias(await newModel(1), 1, alias), 400, "INVALID_PARAMETER_VALUE", message);
  });

  it("cannot point at nothing", async () => {
    const name = await newModel(1);
    expectMlflowError(await setAlias(name, 9), 404, "RESOURCE_DOES_NOT_EXIST", /version=9\) not found/);
    expectMlflowError(await setAlias(name, "abc"), 400, "INVALID_PARAMETER_VALUE", /must be an integer/);
  });

  it("moves only from where the caller expects it, when the caller says so", async () => {
    const name = await newModel();
    const actor = systemActor("test");
    await ground.registry.setAlias(name, "champion", 1, { actor, expectedVersion: null });
    await ground.registry.setAlias(name, "champion", 2, { actor, expectedVersion: 1 });
    await expect(
      ground.registry.setAlias(name, "champion", 3, { actor, expectedVersion: 1 }),
    ).rejects.toThrow(/stands at version 2, not at version 1/);
    expect(await versionAt(name)).toBe(2);
  });
});

describe("the history of a model", () => {
  it("says who did what, when, before, after and why, newest first", async () => {
    const name = await newModel(2);
    ground.clock.advance(1000);
    await setAlias(name, 1);
    await call(
      ground.app,
      "POST",
      "/api/2.0/mlflow/registered-models/alias",
      { name, alias: "champion", version: "2" },
      { "x-ketline-reason": "better on March" },
    );
    const [second, first] = await history(name);
    expect(second).toMatchObject({
      kind: "alias.set",
      alias: "champion",
      before: 1,
      after: 2,
      reason: "better on March",
      atMs: ground.clock(),
      actor: { id: expect.any(String), name: expect.any(String) },
    });
    expect(first).toMatchObject({ kind: "alias.set", before: null, after: 1, reason: null });
    expect(second?.id).toBeGreaterThan(first?.id ?? 0);
  });

  it("holds every kind of change, and no change that was none", async () => {
    const name = await newModel(2);
    const send = (method: string, path: string, fields: object) =>
      ground.ask(method, path, { name, ...fields });
    const steps = async () => {
      await send("POST", "/registered-models/set-tag", { key: "t", value: "1" });
      await send("POST", "/model-versions/set-tag", { version: "1", key: "t", value: "1" });
      await send("PATCH", "/registered-models/update", { description: "d" });
      await send("PATCH", "/model-versions/update", { version: "1", description: "d" });
      await send("POST", "/model-versions/transition-stage", { version: "1", stage: "Staging" });
      await send("POST", "/registered-models/alias", { version: "1", alias: "champion" });
    };
    await steps();
    await steps();
    await send("POST", "/model-versions/transition-stage", {
      version: "2",
      stage: "Staging",
      archive_existing_versions: true,
    });
    await send("DELETE", "/registered-models/delete-tag", { key: "t" });
    await send("DELETE", "/model-versions/delete-tag", { version: "1", key: "t" });
    await send("DELETE", "/model-versions/delete", { version: "1" });
    const kinds = (await history(name)).map(({ kind, before, after }) => [kind, before, after]).toReversed();
    expect(kinds).toEqual([
      ["model.created", null, { description: "", tags: {} }],
      ["version.created", null, { source: "s3://b/m", runId: "" }],
      ["version.created", null, { source: "s3://b/m", runId: "" }],
      ["model.tag-set", null, "1"],
      ["version.tag-set", null, "1"],
      ["model.updated", "", "d"],
      ["version.updated", "", "d"],
      ["version.stage-changed", "None", "Staging"],
      ["alias.set", null, 1],
      ["version.stage-changed", "Staging", "Archived"],
      ["version.stage-changed", "None", "Staging"],
      ["model.tag-deleted", "1", null],
      ["version.tag-deleted", "1", null],
      ["alias.deleted", 1, null],
      ["version.deleted", { source: "s3://b/m", runId: "", stage: "Archived" }, null],
    ]);
  });

  it("follows a renaming, and stays when the model is gone", async () => {
    const name = await newModel(1);
    const renamed = `${name}-renamed`;
    await ground.ask("POST", "/registered-models/rename", { name, new_name: renamed });
    expect((await history(renamed)).map(({ kind }) => kind)).toEqual([
      "model.renamed",
      "version.created",
      "model.created",
    ]);
    await setAlias(renamed, 1);
    await ground.ask("DELETE", "/registered-models/delete", { name: renamed });
    expect((await history(renamed)).map(({ kind }) => kind).slice(0, 2)).toEqual([
      "model.deleted",
      "alias.deleted",
    ]);
  });

  it("is paged, and can be narrowed to one alias", async () => {
    const name = await newModel(2);
    for (const version of [1, 2, 1, 2]) await setAlias(name, version);
    await setAlias(name, 1, "other");
    const seen: number[] = [];
    let cursor: string | undefined;
    do {
      const query = cursor === undefined ? "" : `&cursor=${cursor}`;
      const { body } = await call(
        ground.app,
        "GET",
        `/api/v1/registry/${name}/history?limit=2&alias=champion${query}`,
      );
      const page = body as { items: Event[]; nextCursor?: string };
      seen.push(...page.items.map(({ after }) => Number(after)));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toEqual([2, 1, 2, 1]);
  });

  it("is 404 as a problem for a model that never was", async () => {
    const answer = await call(ground.app, "GET", "/api/v1/registry/nobody/history");
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body).toMatchObject({
      status: 404,
      detail: /* names it */ expect.stringContaining("nobody"),
    });
    const bad = await call(ground.app, "GET", "/api/v1/registry/nobody/history?cursor=garbage");
    expect(bad.status).toBe(400);
  });

  it("is in the audit log as well", async () => {
    const name = await newModel(1);
    await setAlias(name, 1);
    const [entry] = await ground.audit.list({ subject: `model/${name}/champion` }, undefined, 1);
    expect(entry).toMatchObject({ action: "alias.set" });
  });
});

describe("rolling an alias back", () => {
  it("puts it where it was before its last move, and forward again", async () => {
    const name = await newModel();
    for (const version of [1, 2]) await setAlias(name, version);
    expect(await rollback(name, { reason: "too many false alarms" })).toMatchObject({
      status: 200,
      body: { model: name, alias: "champion", before: 2, after: 1 },
    });
    expect(await versionAt(name)).toBe(1);
    expect((await history(name))[0]).toMatchObject({
      kind: "alias.set",
      before: 2,
      after: 1,
      reason: "too many false alarms",
    });
    await rollback(name);
    expect(await versionAt(name)).toBe(2);
  });

  it("puts it where it stood after an earlier event", async () => {
    const name = await newModel();
    for (const version of [1, 2, 3]) await setAlias(name, version);
    const toFirst = (await history(name, "alias=champion")).at(-1)?.id;
    expect((await rollback(name, { toEvent: toFirst })).body).toMatchObject({ before: 3, after: 1 });
    const again = await rollback(name, { toEvent: toFirst });
    expect([again.status, (await history(name, "alias=champion")).length]).toEqual([200, 4]);
  });

  it("removes it when it was nowhere before", async () => {
    const name = await newModel();
    await setAlias(name, 1);
    expect((await rollback(name)).body).toMatchObject({ before: 1, after: null });
    expect(await versionAt(name)).toBeNull();
    expect((await rollback(name)).body).toMatchObject({ before: null, after: 1 });
  });

  it("does nothing that cannot be", async () => {
    const name = await newModel();
    expect((await rollback(name)).status).toBe(404);
    for (const version of [1, 2]) await setAlias(name, version);
    expect((await rollback(name, { toEvent: 1 })).status).toBe(404);
    expect((await rollback(name, { expectedVersion: 1 })).status).toBe(412);
    expect((await rollback(name, { toEvent: "x" })).status).toBe(400);
    expect((await rollback("nobody")).status).toBe(404);
    await ground.ask("DELETE", "/model-versions/delete", { name, version: "1" });
    const answer = await rollback(name);
    expect([answer.status, await versionAt(name)]).toEqual([409, 2]);
    expect((answer.body as { detail: string }).detail).toMatch(/Version 1 of .* has been deleted/);
  });
});

describe("the face for other capabilities", () => {
  it("lists models by name and versions newest first", async () => {
    const name = await newModel(2);
    expect((await ground.registry.listVersions(name)).map(({ version }) => version)).toEqual([2, 1]);
    expect((await ground.registry.getNewestReady(name))?.version).toBe(2);
    expect(await ground.registry.getNewestReady("nobody")).toBeNull();
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await ground.registry.listModels({
        limit: 4,
        ...(cursor === undefined ? {} : { cursor }),
      });
      names.push(...page.items.map((item) => item.name));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(names).toEqual(names.toSorted());
    expect(names).toContain(name);
  });

  it("has a revision that grows with every change and stays when nothing changed", async () => {
    const name = await newModel(1);
    const before = await ground.registry.revision();
    await setAlias(name, 1);
    expect(await ground.registry.revision()).toBe(before + 1);
    await setAlias(name, 1);
    await ground.send("POST", "/registered-models/alias", { name, alias: "champion", version: "9" });
    expect(await ground.registry.revision()).toBe(before + 1);
  });

  it("makes a model once, whoever else makes it", async () => {
    const actor = systemActor("test");
    await Promise.all(Array.from({ length: 8 }, () => ground.registry.ensureModel("shared", actor)));
    expect((await history("shared")).map(({ kind }) => kind)).toEqual(["model.created"]);
  });
});
