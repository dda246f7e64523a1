import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../support/application.ts";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

describe("MLflow's transport", () => {
  let ground: MlflowGround;
  beforeAll(async () => {
    ground = await mlflowGround();
  });
  afterAll(() => ground?.close());

  const create = "/api/2.0/mlflow/experiments/create";
  const json = { "content-type": "application/json" };

  it("serves every call of MLflow under both prefixes", async () => {
    const answer = await call(ground.app, "GET", "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0");
    expect(answer.body).toMatchObject({ experiment: { experiment_id: "0", name: "Default" } });
  });

  it("names the parameter that is missing", async () => {
    expectMlflowError(
      await ground.send("POST", "/experiments/create", {}),
      400,
      "INVALID_PARAMETER_VALUE",
      /^Missing value for required parameter 'name'\./,
    );
    expectMlflowError(
      await ground.send("POST", "/experiments/create", { name: "" }),
      400,
      "INVALID_PARAMETER_VALUE",
      /^Missing value for required parameter 'name'\./,
    );
    expectMlflowError(
      await ground.send("GET", "/runs/get"),
      400,
      "INVALID_PARAMETER_VALUE",
      /^Missing value for required parameter 'run_id'\./,
    );
  });

  it("shows a value of the wrong type and names the parameter", async () => {
    expectMlflowError(
      await ground.send("POST", "/experiments/create", { name: 5 }),
      400,
      "INVALID_PARAMETER_VALUE",
      /^Invalid value 5 for parameter 'name' supplied.*Hint: Value was of type 'int'/,
    );
    expectMlflowError(
      await ground.send("POST", "/runs/search", { experiment_ids: "0" }),
      400,
      "INVALID_PARAMETER_VALUE",
      /^Invalid value "0" for parameter 'experiment_ids' supplied/,
    );
  });

  it("takes null as not set", async () => {
    const answer = await ground.send("POST", "/runs/search", { experiment_ids: ["0"], filter: null });
    expect(answer).toMatchObject({ status: 200, body: {} });
  });

  it("refuses a body that is not read, also where every field may be left out", async () => {
    for (const [body, headers, why] of [
      ['{"name": ', json, /not a JSON object: .*name/],
      ['["name"]', json, /not a JSON object/],
      [
        '{"name":"x"}',
        { "content-type": "text/plain" },
        /must be one of \['application\/json'\].* 'text\/plain/,
      ],
      [
        new TextEncoder().encode('{"name":"x"}'),
        {},
        /^Bad Request\. Content-Type header is missing\. Send application\/json\.$/,
      ],
      ['{"name":"x"}', { ...json, "content-encoding": "br" }, /'br'; gzip and identity are taken/],
      ['{"name":"x"}', { ...json, "content-encoding": "gzip" }, /not a whole gzip file/],
    ] as const) {
      for (const path of [create, "/api/2.0/mlflow/runs/search"]) {
        const answer = await call(ground.app, "POST", path, body, headers);
        expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", why);
      }
    }
  });

  it("unpacks a body in gzip, and refuses one that unpacks to more than is taken", async () => {
    const headers = { ...json, "content-encoding": "gzip" };
    const packed = gzipSync(JSON.stringify({ name: "packed" }));
    expect((await call(ground.app, "POST", create, packed, headers)).status).toBe(200);
    const bomb = gzipSync(Buffer.alloc(64 * 1024 ** 2, " "));
    const answer = await call(ground.app, "POST", create, bomb, headers);
    expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", /more than \d+ bytes when it is unpacked/);
  });

  it("takes fields by protobuf's other spelling, in bodies, in what they hold, and in queries", async () => {
    const made = await ground.send("POST", "/runs/create", {
      experimentId: "0",
      runName: "camel",
      startTime: 5,
      tags: [{ key: "runName", value: "stays" }],
    });
    expect(made).toMatchObject({
      status: 200,
      body: { run: { info: { run_name: "camel", start_time: 5 } } },
    });
    const { run_id: id } = (made.body as { run: { info: { run_id: string } } }).run.info;
    const read = await ground.send("GET", "/runs/get", { runId: id });
    expect(read.body).toMatchObject({
      run: { data: { tags: expect.arrayContaining([{ key: "runName", value: "stays" }]) } },
    });
    await ground.send("POST", "/runs/log-inputs", {
      runId: id,
      datasets: [
        { dataset: { name: "d", digest: "1", sourceType: "local", source: "here", profile: "{}" }, tags: [] },
      ],
    });
    const found = await ground.send("POST", "/runs/search", {
      experimentIds: ["0"],
      maxResults: 1,
      filter: "attributes.run_name = 'camel'",
    });
    expect(found.body).toMatchObject({
      runs: [{ info: { run_id: id }, inputs: { dataset_inputs: [{ dataset: { source_type: "local" } }] } }],
    });
  });

  it("refuses a field that is spelled both ways", async () => {
    const both = { experiment_ids: ["0"], experimentIds: ["1"] };
    expectMlflowError(
      await ground.send("POST", "/runs/search", both),
      400,
      "INVALID_PARAMETER_VALUE",
      "Request specifies both 'experiment_ids' and 'experimentIds'; provide only one of them.",
    );
  });

  it("takes JSON that an old client encoded twice", async () => {
    const body = JSON.stringify(JSON.stringify({ name: "twice" }));
    const answer = await call(ground.app, "POST", create, body, { "content-type": "application/json" });
    expect(answer.status).toBe(200);
  });

  it("ignores fields that it does not know, as protobuf does", async () => {
    const answer = await ground.send("POST", "/experiments/create", {
      name: "later",
      invented: { in: 2031 },
    });
    expect(answer.status).toBe(200);
  });

  it("refuses the character that PostgreSQL cannot store", async () => {
    const answer = await ground.send("POST", "/experiments/create", { name: "a\0b" });
    expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", /NUL/);
  });

  it("answers unknown calls with ENDPOINT_NOT_FOUND in MLflow's form", async () => {
    expectMlflowError(await ground.send("GET", "/experiments/list"), 404, "ENDPOINT_NOT_FOUND");
    for (const [method, path] of [
      ["POST", "/api/3.0/mlflow/traces/search"],
      ["GET", "/api/2.0/mlflow/traces"],
      ["GET", "/api/3.0/mlflow/scorers/list"],
      ["POST", "/ajax-api/3.0/mlflow/gateway/endpoints/create"],
    ] as const) {
      const answer = await call(ground.app, method, path);
      expectMlflowError(answer, 404, "ENDPOINT_NOT_FOUND", /traces.*are not part/);
    }
  });

  it("says what kind of server it is", async () => {
    const answer = await call(ground.app, "GET", "/api/3.0/mlflow/server-info");
    expect(answer.body).toMatchObject({ store_type: "SqlStore", workspaces_enabled: false });
  });

  it("keeps an experiment whose name any alphabet writes", async () => {
    const name = "Flüge ✈️ 航班 \u{1F6EB}";
    await ground.ask("POST", "/experiments/create", { name });
    const answer = await ground.ask("GET", "/experiments/get-by-name", { experiment_name: name });
    expect(answer).toMatchObject({ experiment: { name } });
  });
});

describe("who may do what", () => {
  let ground: MlflowGround;
  const admin = "an-admin-token-of-the-tests";
  const tokens: Record<string, string> = { admin };
  beforeAll(async () => {
    ground = await mlflowGround({ KETLINE_ADMIN_TOKEN: admin });
    for (const role of ["viewer", "contributor", "operator"]) {
      const answer = await call(
        ground.app,
        "POST",
        "/api/v1/tokens",
        { name: role, role },
        { authorization: `Bearer ${admin}` },
      );
      tokens[role] = (answer.body as { token: string }).token;
    }
  });
  afterAll(() => ground?.close());

  const as = (role: string, method: string, path: string, body?: object) =>
    call(ground.app, method, `/api/2.0/mlflow${path}`, body, { authorization: `Bearer ${tokens[role]}` });

  it("lets a viewer read and not write", async () => {
    expect((await as("viewer", "GET", "/experiments/get?experiment_id=0")).status).toBe(200);
    expectMlflowError(
      await as("viewer", "POST", "/experiments/create", { name: "x" }),
      403,
      "PERMISSION_DENIED",
      /contributor/,
    );
  });

  it("lets a contributor log and register, and an operator decide what an alias means", async () => {
    expect((await as("contributor", "POST", "/registered-models/create", { name: "m" })).status).toBe(200);
    const { body } = await as("contributor", "POST", "/runs/create", { experiment_id: "0" });
    const { run_id } = (body as { run: { info: { run_id: string } } }).run.info;
    const version = { name: "m", source: `runs:/${run_id}/model` };
    expect((await as("contributor", "POST", "/model-versions/create", version)).status).toBe(200);
    const alias = { name: "m", alias: "champion", version: "1" };
    expectMlflowError(
      await as("contributor", "POST", "/registered-models/alias", alias),
      403,
      "PERMISSION_DENIED",
    );
    expect((await as("operator", "POST", "/registered-models/alias", alias)).status).toBe(200);
  });

  it("asks for a credential in a way that MLflow's client understands", async () => {
    const answer = await call(ground.app, "GET", "/api/2.0/mlflow/experiments/get?experiment_id=0");
    expectMlflowError(answer, 401, "UNAUTHENTICATED");
  });
});
