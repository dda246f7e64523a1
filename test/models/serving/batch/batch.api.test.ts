import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { WorkerPool } from "../../../../shared/jobs/index.ts";
import { call } from "../../../support/application.ts";
import { randomSource } from "../../../support/random.ts";
import { bytesOf, identityModel, linearModel, oneHotModel, sumModel, zipMapModel } from "../models.ts";
import { type BatchGround, batchGround } from "./batch-ground.ts";

const script = fileURLToPath(new URL("../../../support/one-job.child.ts", import.meta.url));
const seed = 20260105;
const random = randomSource(seed).uniform;
/** Some numbers are missing; times and texts stand beside them. */
const rows = Array.from({ length: 203 }, (_, id) => ({
  id,
  b: id % 17 === 5 ? null : Math.fround(random() * 20 - 10),
  name: `row "${id}" ½`,
  at: new Date(Date.UTC(2026, 0, 1) + id * 61_234).toISOString(),
  a: Math.fround(random() - 0.5),
}));

let running = 0;
let maxRunning = 0;
/** Counts how many pieces of work are under way at a time. */
const counting = (workers: WorkerPool): WorkerPool => ({
  ...workers,
  async runApart(...call) {
    running++;
    maxRunning = Math.max(maxRunning, running);
    try {
      return await workers.runApart(...call);
    } finally {
      running--;
    }
  },
});

let ground: BatchGround;
let version: string;
beforeAll(async () => {
  ground = await batchGround({ disturb: counting });
  version = await ground.addDataset("table", rows);
  await ground.addModel("sum", { "model.onnx": bytesOf(sumModel()) });
  await ground.addModel("linear", { "model.onnx": bytesOf(linearModel([2, -3], 0.5)) });
  await ground.addModel("classes", { "model.onnx": bytesOf(zipMapModel(["no", "yes"])) });
  await ground.addModel("echo", { "model.onnx": bytesOf(identityModel("string")) });
  await ground.addModel("colours", { "model.onnx": bytesOf(oneHotModel(["red", "green", "blue"])) });
}, 60_000);
afterAll(() => ground.close());

/** What the scoring protocol answers for each row alone. */
async function rowByRow(model: string, columns: readonly (keyof (typeof rows)[number])[]) {
  const answers: unknown[] = [];
  for (const row of rows) {
    const table = { columns, data: [columns.map((column) => row[column])] };
    const answer = await call(ground.app, "POST", `/serving/${model}/invocations`, {
      dataframe_split: table,
    });
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    answers.push((answer.body as { predictions: unknown[] }).predictions[0]);
  }
  return answers as Record<string, unknown>[];
}

/** JSON has no NaN; DuckDB writes it as text. */
const sent = (value: unknown) => (value === "NaN" || Number.isNaN(value) ? null : value);
const request = (model: string, more: { input?: object; output?: object } & object = {}) => ({
  chunkRows: 20,
  target: { model, version: 1 },
  ...more,
  input: { dataset: "table", ...more.input },
  output: { dataset: `${model}-scored`, ...more.output },
});

describe("the predictions of a data set", () => {
  it("are those of its rows one by one, in their order, with the columns to keep before them", async () => {
    maxRunning = 0;
    const job = await ground.predict(request("sum", { output: { keep: ["id", "name"] } }));
    expect(job, job.error ?? "").toMatchObject({ state: "succeeded", attempt: 1, progress: 1 });
    const found = await ground.rowsOf("sum-scored");
    const expected = await rowByRow("sum", ["a", "b"]);
    expect(
      found.map((row) => ({ ...row, sum: sent(row.sum) })),
      `seed ${seed}`,
    ).toEqual(rows.map(({ id, name }, index) => ({ id: String(id), name, sum: expected[index]?.sum })));
  });

  it("are made of several chunks at a time", async () => {
    expect(maxRunning).toBeGreaterThan(1);
  });

  it("come from a table of columns in the order that was asked for, where the model names none", async () => {
    await ground.predict(request("linear", { input: { columns: ["b", "a"] } }));
    const found = await ground.rowsOf("linear-scored");
    const expected = await rowByRow("linear", ["b", "a"]);
    expect(
      found.map((row) => sent(row.Y)),
      `seed ${seed}`,
    ).toEqual(expected.map((row) => row.Y));
  });

  it("have a column for each class", async () => {
    await ground.predict(request("classes", { input: { columns: ["a"] } }));
    const found = await ground.rowsOf("classes-scored");
    const expected = await rowByRow("classes", ["a"]);
    expect(found).toEqual(
      expected.map(({ output_label, output_probability }) => {
        const { no, yes } = output_probability as { no: number; yes: number };
        return { output_label, output_probability_no: no, output_probability_yes: yes };
      }),
    );
  });

  it("read times as text, as pandas writes them", async () => {
    await ground.predict(request("echo", { input: { columns: ["at"], limit: 2 } }));
    const refused = await ground.submit(request("echo", { input: { columns: ["when"] } }));
    expect(refused.body).toMatchObject({
      status: 400,
      detail: expect.stringMatching(/no column "when"; it has "id"/),
    });
    await ground.addDataset("times", [{ X: "2026-01-05T09:00:00.250Z" }, { X: "2026-01-06T10:00:00Z" }]);
    await ground.predict(request("echo", { input: { dataset: "times" }, output: { dataset: "echoed" } }));
    expect(await ground.rowsOf("echoed")).toEqual([
      { Y: "2026-01-05T09:00:00.250" },
      { Y: "2026-01-06T10:00:00.000" },
    ]);
  });

  it("carry where they come from", async () => {
    const answer = await call(
      ground.app,
      "GET",
      `/api/v1/batch-predictions?output=sum-scored&outputVersion=${(await ground.datasets.getVersion("sum-scored", "latest")).version}`,
    );
    expect((answer.body as { items: unknown[] }).items).toMatchObject([
      {
        input: { dataset: "table", version, rows: 203 },
        model: { name: "sum", version: 1 },
        output: { dataset: "sum-scored", failedRows: 0 },
        job: { state: "succeeded", kind: "serving.batch" },
      },
    ]);
  });

  it("leave no chunks behind", async () => {
    expect((await ground.blobs.list("serving/batch/")).blobs).toEqual([]);
  });

  it("are only of the first rows, with a limit", async () => {
    await ground.predict(
      request("sum", { input: { limit: 21 }, output: { dataset: "first", keep: ["id"] } }),
    );
    expect((await ground.rowsOf("first")).map(({ id }) => id)).toEqual(
      rows.slice(0, 21).map(({ id }) => String(id)),
    );
  });
});

describe("a row that cannot be predicted", () => {
  const colours = ["red", null, "blue", "mauve", null, "green"].map((colour, n) => ({ colour, n }));
  const body = { input: { dataset: "paints" }, target: { model: "colours", version: 1 } };
  beforeAll(async () => void (await ground.addDataset("paints", colours)));

  it("fails the job, which names it", async () => {
    const job = await ground.predict({ ...body, output: { dataset: "painted" } });
    expect(job).toMatchObject({
      state: "failed",
      attempt: 1,
      error: expect.stringMatching(
        /Row 1 .*cannot be predicted: column "colour" is null; the model takes text/,
      ),
    });
  });

  it("stays in its place with the reason, where that is allowed", async () => {
    const output = { dataset: "painted", keep: ["n"] };
    const job = await ground.predict({ ...body, chunkRows: 2, maxFailedRows: 2, output });
    expect(job, job.error ?? "").toMatchObject({ state: "succeeded", result: { rows: 6, failedRows: 2 } });
    const why = 'column "colour" is null; the model takes text.';
    expect(await ground.rowsOf("painted")).toEqual([
      { n: "0", hot: [[1, 0, 0]], prediction_error: null },
      { n: "1", hot: null, prediction_error: why },
      { n: "2", hot: [[0, 0, 1]], prediction_error: null },
      { n: "3", hot: [[0, 0, 0]], prediction_error: null },
      { n: "4", hot: null, prediction_error: why },
      { n: "5", hot: [[0, 1, 0]], prediction_error: null },
    ]);
  });

  it("leaves the chunks that are done for another try, for a week", async () => {
    await ground.addDataset("last", [...Array(5).fill({ colour: "red" }), { colour: null }]);
    const input = { dataset: "last" };
    const job = await ground.predict({ ...body, input, chunkRows: 1, output: { dataset: "painted" } });
    expect(job).toMatchObject({ state: "failed", error: expect.stringMatching(/Row 5 /) });
    const chunks = async () => (await ground.blobs.list(`serving/batch/${job.id}/`)).blobs.length;
    await ground.sweep();
    expect(await chunks()).toBeGreaterThan(0);
    ground.clock.advance(8 * 24 * 3600_000);
    await ground.sweep();
    expect(await chunks()).toBe(0);
  });

  it("fails the job when there are more of them than that", async () => {
    const job = await ground.predict({
      ...body,
      chunkRows: 2,
      maxFailedRows: 1,
      output: { dataset: "painted" },
    });
    expect(job).toMatchObject({
      state: "failed",
      error: expect.stringMatching(/2 rows cannot be predicted/),
    });
  });
});

describe("a batch prediction that cannot be", () => {
  it("is refused at once, with what would be right", async () => {
    const refusals: [object, number, RegExp][] = [
      [request("sum", { input: { dataset: "none" } }), 404, /no data set "none"/],
      [request("sum", { output: { keep: ["nothing"] } }), 400, /no column "nothing"; it has/],
      [request("none"), 404, /none/],
      [{ ...request("sum"), target: { model: "sum", version: 7 } }, 404, /7/],
      [{ ...request("sum"), target: { model: "sum", alias: "best" } }, 404, /no alias "best"/],
      [{ ...request("sum"), target: { deployment: "nowhere" } }, 404, /nowhere/],
      [{ ...request("sum"), target: { model: "sum" } }, 400, /needs deployment, or model and version/],
      [request("sum", { output: { dataset: "No Name" } }), 400, /output/],
    ];
    for (const [body, status, message] of refusals) {
      const answer = await ground.submit(body);
      expect(answer.body, JSON.stringify(body)).toMatchObject({
        status,
        detail: expect.stringMatching(message),
      });
    }
  });

  it("stops at once when a column is missing, is of another type, or would be there twice", async () => {
    const faults: [object, RegExp][] = [
      [request("sum", { input: { columns: ["a", "id"] } }), /Column "b" missing; the table has "a", "id"/],
      [
        request("linear", { input: { columns: ["a", "name"] } }),
        /Column "name" is VARCHAR; the model takes numbers/,
      ],
      [
        request("linear", { input: { columns: ["a", "at"] } }),
        /Column "at" is TIMESTAMP; the model takes numbers/,
      ],
      [request("linear"), /has 5 columns.*the model takes 2\..*input\.columns/],
      [request("colours", { input: { columns: ["id"] } }), /"id" is BIGINT; the model takes text/],
      [request("sum", { output: { keep: ["id", "id"] } }), /two columns "id"/],
    ];
    for (const [body, message] of faults) {
      const answer = await ground.submit(body);
      expect(answer.status, JSON.stringify(answer.body)).toBe(202);
      await ground.runner.drain();
      const job = await ground.jobOf((answer.body as { id: string }).id);
      expect(job, JSON.stringify(body)).toMatchObject({
        state: "failed",
        attempt: 1,
        progress: 0,
        error: expect.stringMatching(message),
      });
    }
  });
});

describe("a batch prediction", () => {
  it("uses the version that a deployment served when it was submitted, whatever is served later", async () => {
    await ground.addModel("linear", { "model.onnx": bytesOf(linearModel([0, 0], 7)) });
    const change = (version: string, expectedRevision: number) =>
      ground.serving.changeDeployment(
        "line",
        { variants: [{ name: "v", model: "linear", version, weight: 100 }] },
        { actor: { id: "t", name: "t", role: "admin", source: "system" }, reason: "test", expectedRevision },
      );
    await change("2", 0);
    const body = request("linear", { input: { columns: ["a", "id"] }, output: { dataset: "line" } });
    const { id } = (await ground.submit({ ...body, target: { deployment: "line" } })).body as { id: string };
    await change("1", 1);
    await ground.runner.drain();
    const found = await call(ground.app, "GET", `/api/v1/batch-predictions/${id}`);
    expect(found.body).toMatchObject({
      deployment: "line",
      revision: 1,
      model: { name: "linear", version: 2 },
      job: { state: "succeeded" },
    });
    expect(new Set((await ground.rowsOf("line")).map(({ Y }) => Y))).toEqual(new Set([7]));
  });

  it("is not made twice for one idempotency key", async () => {
    const [one, two] = [
      await ground.submit(request("sum"), "?idempotencyKey=monday"),
      await ground.submit(request("sum", { input: { limit: 1 } }), "?idempotencyKey=monday"),
    ];
    expect((two.body as { id: string }).id).toBe((one.body as { id: string }).id);
    await ground.runner.drain();
  });

  it("that is cancelled ends soon, and gives the same version as any other when it is tried again", async () => {
    const whole = await ground.predict(request("sum", { output: { dataset: "whole" } }));
    const answer = await ground.submit(request("sum", { output: { dataset: "resumed" } }));
    const { id } = answer.body as { id: string };
    const attempt = ground.runner.runOne(id);
    while ((await ground.blobs.list(`serving/batch/${id}/`)).blobs.length === 0)
      await new Promise(setImmediate);
    await call(ground.app, "POST", `/api/v1/jobs/${id}/cancel`, { reason: "changed my mind" });
    await attempt;
    expect(await ground.jobOf(id)).toMatchObject({
      state: "cancelled",
      error: expect.stringMatching(/my mind/),
    });
    await call(ground.app, "POST", `/api/v1/jobs/${id}/retry`);
    await ground.runner.drain();
    const again = await ground.jobOf(id);
    expect(again, again.error ?? "").toMatchObject({ state: "succeeded" });
    expect(again.result?.version).toBe(whole.result?.version);
    expect(await ground.rowsOf("resumed")).toEqual(await ground.rowsOf("whole"));
  });

  it("whose process is killed in the middle goes on with what is left, and gives the same version", async () => {
    const body = (dataset: string) => ({
      ...request("sum", { output: { dataset, keep: ["id", "at"] } }),
      chunkRows: 5,
    });
    const whole = await ground.predict(body("unharmed"));
    const { id } = (await ground.submit(body("killed"))).body as { id: string };
    const child = spawn(process.execPath, [script, ground.directory, id], { stdio: "inherit" });
    const ended = once(child, "exit");
    const chunks = async () => (await ground.blobs.list(`serving/batch/${id}/`)).blobs.length;
    while ((await chunks()) < 10 && child.exitCode === null) await new Promise(setImmediate);
    child.kill("SIGKILL");
    await ended;
    expect(await ground.jobOf(id)).toMatchObject({ state: "running", attempt: 1 });
    ground.clock.set(Date.now() + 3600_000);
    await ground.runner.sweep();
    await ground.runner.drain();
    const job = await ground.jobOf(id);
    expect(job, job.error ?? "").toMatchObject({ state: "succeeded", attempt: 2 });
    expect(job.result?.version).toBe(whole.result?.version);
    const logs = await call(ground.app, "GET", `/api/v1/jobs/${id}/logs`);
    expect(JSON.stringify(logs.body)).toMatch(/\d+ chunks are done already; \d+ are left/);
    expect((await ground.rowsOf("killed")).map((row) => row.id)).toEqual(rows.map((row) => String(row.id)));
    expect(await chunks()).toBe(0);
  });
});
