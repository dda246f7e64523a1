import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatasets, datasetMigrations } from "../../../models/datasets/index.ts";
import { createBlobEndpoint, createBlobLinks } from "../../../shared/blobs/index.ts";
import { systemActor } from "../../../shared/identity/index.ts";
import { call, type TestApplication, testGround } from "../../support/application.ts";
import { toldBy } from "../../support/events.ts";
import { flightsBytes } from "../../support/flights.ts";

let ground: TestApplication;

beforeAll(async () => {
  ground = await testGround({
    migrations: datasetMigrations,
    env: { KETLINE_MAX_UPLOAD_BYTES: "1000000" },
    capabilities: (floor) => [
      createDatasets(floor),
      createBlobEndpoint({
        store: floor.blobs,
        links: createBlobLinks({ signingKey: "k".repeat(32), clock: floor.clock }),
        clock: floor.clock,
        maxUploadBytes: 1_000_000,
      }),
    ],
  });
});
afterAll(() => ground.close());

type Json = Readonly<Record<string, unknown>>;
const send = async (method: string, path: string, body?: unknown, headers?: Record<string, string>) => {
  const answer = await call(ground.app, method, path, body, headers);
  return { ...answer, body: answer.body as Json };
};
const itemsOf = ({ body }: { body: Json }) => body.items as Json[];
/** A member of an answer as text, by its path. */
const at = ({ body }: { body: Json }, path: string): string =>
  String(path.split(".").reduce<unknown>((value, key) => (value as Json)[key], body));
const upload = (name: string, format: string, content: string | Uint8Array) =>
  send("POST", `/api/v1/datasets/${name}/versions?format=${format}`, content, {
    "content-type": "application/octet-stream",
  });
const versionOf = (name: string, version: string) =>
  send("GET", `/api/v1/datasets/${name}/versions/${version}`);

describe("registering a version", () => {
  it("answers 202 with a job that profiles it, and knows equal content again", async () => {
    const flights = await flightsBytes({ share: 0.002, format: "parquet" });
    const first = await upload("flights", "parquet", flights);
    expect(first.status).toBe(202);
    expect(first.body).toMatchObject({
      version: { dataset: "flights", number: 1, state: "pending", sizeBytes: flights.byteLength },
      job: { kind: "datasets.profile", state: "queued" },
    });
    const again = await upload("flights", "parquet", flights);
    expect(again.body.job).toEqual(first.body.job);
    await ground.runner.drain();
    const ready = await versionOf("flights", "latest");
    expect(ready.body).toMatchObject({ state: "ready", error: null, jobId: at(first, "job.id") });
    expect(ready.body.columns).toContainEqual({ name: "delay", type: "BIGINT", kind: "numeric" });
    expect(ready.body.profile).toHaveLength(5);
    expect(await upload("flights", "parquet", flights)).toMatchObject({
      status: 200,
      body: { job: null, version: { number: 1, state: "ready" } },
    });
    expect((await versionOf("flights", String(ready.body.version).slice(0, 8))).body).toEqual(ready.body);
  });

  it("ends as failed, with who cancelled it, when its profile is cancelled, and may come again", async () => {
    const csv = "day,n\n2001-01-01,1\n";
    const { body } = await upload("unread", "csv", csv);
    const { id } = body.job as { id: string };
    await send("POST", `/api/v1/jobs/${id}/cancel`, { reason: "the wrong file" });
    const version = String((body.version as Json).version);
    expect((await versionOf("unread", version)).body).toMatchObject({
      state: "failed",
      error: expect.stringMatching(/Cancelled by .*: the wrong file/),
    });
    await upload("unread", "csv", csv);
    await ground.runner.drain();
    expect((await versionOf("unread", version)).body).toMatchObject({ state: "ready" });
  });

  it("is profiled in the end although the process ended before it asked for that", async () => {
    const { body } = await upload("unasked", "csv", "a\n1\n");
    const version = String((body.version as Json).version);
    const { id } = body.job as { id: string };
    const tables = ground.database.tables<{
      dataset_version: { dataset: string; job_id: string | null };
      job: { id: string };
    }>();
    await tables
      .updateTable("dataset_version")
      .set({ job_id: null })
      .where("dataset", "=", "unasked")
      .execute();
    await tables.deleteFrom("job").where("id", "=", id).execute();
    const sweep = createDatasets(ground).timers.find(({ name }) => name === "datasets-uploads-sweep");
    await sweep?.run();
    await ground.runner.drain();
    expect((await versionOf("unasked", version)).body).toMatchObject({ state: "pending", jobId: null });
    ground.clock.advance(11 * 60_000);
    await sweep?.run();
    await ground.runner.drain();
    expect((await versionOf("unasked", version)).body).toMatchObject({ state: "ready" });
  });

  it("gives the same rows back, in the file as it was uploaded", async () => {
    const csv = "day,n\n2001-01-01,1\n2001-01-02,2\n";
    await upload("roundtrip", "csv", csv);
    await ground.runner.drain();
    const redirect = await send("GET", "/api/v1/datasets/roundtrip/versions/latest/content");
    expect(redirect.status).toBe(302);
    const content = await ground.app.request(String(redirect.headers.get("location")));
    expect(content.status).toBe(200);
    expect(await content.text()).toBe(csv);
  });

  it("fails the job and the version when the file is malformed, and takes it again in another format", async () => {
    const content = '{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n{"a": 5, "b": 6, "c": 7}\n';
    const first = await upload("mistaken", "csv", content);
    await ground.runner.drain();
    const version = at(first, "version.version");
    const job = await send("GET", `/api/v1/jobs/${at(first, "job.id")}`);
    expect(job.body).toMatchObject({ state: "failed", attempt: 1 });
    expect(job.body.error).toMatch(/cannot be read as CSV: line 1/);
    expect((await versionOf("mistaken", version)).body).toMatchObject({
      state: "failed",
      error: job.body.error,
    });
    expect((await versionOf("mistaken", "latest")).status).toBe(404);
    expect((await upload("mistaken", "jsonl", content)).status).toBe(202);
    await ground.runner.drain();
    expect((await versionOf("mistaken", version)).body).toMatchObject({
      state: "ready",
      rows: 3,
      format: "jsonl",
    });
  });

  it("says how the text of a file was understood", async () => {
    await upload("understood", "csv", "a;b\n1,5;NA\n2,5;3\n");
    await ground.runner.drain();
    expect((await versionOf("understood", "latest")).body).toMatchObject({
      columns: [
        { name: "a", kind: "numeric" },
        { name: "b", kind: "numeric" },
      ],
      findings: {
        compression: null,
        encoding: "utf-8",
        delimiter: ";",
        columns: [
          { kind: "decimal comma", column: "a" },
          { kind: "missing", column: "b", spellings: [{ text: "NA", count: 1 }] },
        ],
      },
      notes: [
        'Column "a" is numeric: its decimal commas are read as points.',
        'Column "b": "NA" (1) are read as missing values.',
      ],
    });
  });

  it("counts versions, newest first, one page after another", async () => {
    for (const n of [1, 2, 3]) await upload("counted", "csv", `n\n${n}\n`);
    await ground.runner.drain();
    const page = await send("GET", "/api/v1/datasets/counted/versions?limit=2");
    const rest = await send(
      "GET",
      `/api/v1/datasets/counted/versions?limit=2&cursor=${page.body.nextCursor}`,
    );
    const numbers = [page, rest].map((answer) => itemsOf(answer).map(({ number }) => number));
    expect(numbers).toEqual([[3, 2], [1]]);
    expect(rest.body.nextCursor).toBeUndefined();
    const names = itemsOf(await send("GET", "/api/v1/datasets")).map(({ name }) => String(name));
    expect(names).toEqual(names.toSorted());
    expect(names).toContain("counted");
  });

  it.each([
    ["an empty body", "good-name", "csv", "", 400, /empty/],
    ["a format that it does not know", "good-name", "xlsx", "a\n1\n", 400, /format is "xlsx"/],
    ["a name that would need escaping", "Bad%20Name", "csv", "a\n1\n", 400, /Bad Name/],
    ["more bytes than it takes", "good-name", "csv", "a\n".repeat(600_000), 413, /1000000 bytes/],
  ])("refuses %s", async (_, name, format, content, status, message) => {
    const answer = await upload(name, format, content);
    expect(answer.status).toBe(status);
    expect(answer.body.detail).toMatch(message);
    expect((await ground.blobs.list("incoming/")).blobs).toEqual([]);
  });
});

describe("expectations", () => {
  it("reject a version that does not meet them, with what was observed, until they are changed", async () => {
    const put = await send("PUT", "/api/v1/datasets/strict", {
      description: "temperatures",
      expectations: [
        { kind: "range", column: "t", min: -60, max: 60 },
        { kind: "rows", min: 1 },
      ],
    });
    expect(put.body).toMatchObject({ revision: 1, description: "temperatures" });
    const version = at(await upload("strict", "csv", "t\n12\n999\n"), "version.version");
    await ground.runner.drain();
    const rejected = await versionOf("strict", version);
    expect(rejected.body).toMatchObject({
      state: "rejected",
      rows: 2,
      error: '1 values of "t" lie outside; they go from 12 to 999.',
      checks: [{ passed: false }, { passed: true }],
    });
    expect((await versionOf("strict", "latest")).body.detail).toMatch(/No version .* is ready/);
    await send("PUT", "/api/v1/datasets/strict", { expectations: [], revision: 1 });
    await upload("strict", "csv", "t\n12\n999\n");
    await ground.runner.drain();
    expect((await versionOf("strict", version)).body).toMatchObject({ state: "ready", error: null });
  });

  it("are changed only from the revision that the writer saw", async () => {
    await send("PUT", "/api/v1/datasets/revised", {});
    const late = await send("PUT", "/api/v1/datasets/revised", { description: "mine", revision: 7 });
    expect(late.status).toBe(412);
    expect(late.body.detail).toMatch(/has revision 1, not 7/);
  });
});

describe("an upload by a signed link", () => {
  it("becomes a version once it is completed, and cannot be changed afterwards", async () => {
    const start = await send("POST", "/api/v1/datasets/linked/uploads", { format: "csv" });
    expect(start.status).toBe(201);
    const { id, url, method, headers } = start.body as unknown as {
      id: string;
      url: string;
      method: string;
      headers: Record<string, string>;
    };
    const early = await send("POST", `/api/v1/datasets/linked/uploads/${id}/complete`);
    expect(early.status).toBe(404);
    expect(early.body.detail).toMatch(/Nothing was uploaded yet/);
    const put = (content: string) => ground.app.request(url, { method, headers, body: content });
    expect((await put("a\n1\n")).status).toBe(201);
    const complete = await send("POST", `/api/v1/datasets/linked/uploads/${id}/complete`);
    expect(complete).toMatchObject({ status: 202, body: { kind: "datasets.profile" } });
    const twice = await send("POST", `/api/v1/datasets/linked/uploads/${id}/complete`);
    expect(twice.body.id).toBe(complete.body.id);
    await ground.runner.drain();
    expect((await send("GET", `/api/v1/jobs/${complete.body.id}`)).body).toMatchObject({
      state: "succeeded",
      result: { dataset: "linked", state: "ready", rows: 1 },
    });
    await put("a\n2\n");
    const redirect = await send("GET", "/api/v1/datasets/linked/versions/latest/content");
    const content = await ground.app.request(String(redirect.headers.get("location")));
    expect(await content.text()).toBe("a\n1\n");
  });

  it.each(["before the upload goes", "after it went", "while it is read"])(
    "is not lost when the job that registers it is interrupted %s",
    async (when) => {
      let interruptions = 0;
      const interrupt = (at: string) => {
        if (at === when && interruptions++ === 0) throw new Error("killed");
      };
      const shaky = await testGround({
        migrations: datasetMigrations,
        capabilities: (floor) => {
          const runApart: typeof floor.workers.runApart = async (...task) => {
            interrupt("while it is read");
            return floor.workers.runApart(...task);
          };
          const remove: typeof floor.blobs.delete = async (key) => {
            if (key.startsWith("incoming/")) interrupt("before the upload goes");
            const removed = await floor.blobs.delete(key);
            if (key.startsWith("incoming/")) interrupt("after it went");
            return removed;
          };
          const disturbed = {
            blobs: { ...floor.blobs, delete: remove },
            workers: { ...floor.workers, runApart },
          };
          return [createDatasets({ ...floor, ...disturbed })];
        },
      });
      try {
        const start = await call(shaky.app, "POST", "/api/v1/datasets/shaky/uploads", { format: "csv" });
        const { id } = start.body as { id: string };
        await shaky.blobs.put(`incoming/datasets/${id}`, new TextEncoder().encode("a\n1\n"));
        const complete = await call(shaky.app, "POST", `/api/v1/datasets/shaky/uploads/${id}/complete`);
        await shaky.runner.drain();
        shaky.clock.advance(60_000);
        await shaky.runner.drain();
        expect(await shaky.blobs.stat(`incoming/datasets/${id}`)).toBeNull();
        const job = await shaky.jobs.get((complete.body as { id: string }).id);
        expect(job).toMatchObject({ state: "succeeded", attempt: 2, result: { state: "ready", rows: 1 } });
      } finally {
        await shaky.close();
      }
    },
  );

  it("is refused when it is too large, and swept away when it is never completed", async () => {
    const start = await send("POST", "/api/v1/datasets/abandoned/uploads", { format: "csv" });
    await ground.blobs.put(`incoming/datasets/${start.body.id}`, new Uint8Array(1_000_001));
    const complete = await send("POST", `/api/v1/datasets/abandoned/uploads/${start.body.id}/complete`);
    expect(complete.status).toBe(413);
    ground.clock.advance(7 * 3600_000);
    const sweep = createDatasets(ground).timers.find(({ name }) => name === "datasets-uploads-sweep");
    await sweep?.run();
    expect(await ground.blobs.stat(`incoming/datasets/${start.body.id}`)).toBeNull();
    expect((await send("POST", `/api/v1/datasets/abandoned/uploads/${start.body.id}/complete`)).status).toBe(
      404,
    );
  });
});

describe("datasetRegistered", () => {
  const told = (name: string) =>
    toldBy(ground, "dataset.registered").filter(({ dataset }) => dataset === name);

  it("is told once of a version that has become ready, also when it comes or is profiled again", async () => {
    const first = await upload("told", "csv", "a\n1\n2\n");
    expect(told("told")).toEqual([]);
    await ground.runner.drain();
    const datasetVersion = at(first, "version.version");
    const event = { dataset: "told", datasetVersion, rows: 2, sizeBytes: 6 };
    expect(told("told")).toEqual([event]);
    await upload("told", "csv", "a\n1\n2\n");
    const spec = { dataset: "told", version: datasetVersion };
    const [profile] = createDatasets(ground).jobKinds;
    const again = await ground.jobs.submit(profile!, spec, { actor: systemActor("test") });
    await ground.runner.drain();
    expect((await ground.jobs.get(again.id)).state).toBe("succeeded");
    expect(told("told")).toEqual([event]);
  });

  it("is told once when two jobs profile a version at the same time", async () => {
    const both = Promise.withResolvers<void>();
    let started = 0;
    const crowded = await testGround({
      migrations: datasetMigrations,
      capabilities: (floor) => {
        const runApart: typeof floor.workers.runApart = async (...task) => {
          if (++started === 2) both.resolve();
          await both.promise;
          return floor.workers.runApart(...task);
        };
        return [createDatasets({ ...floor, workers: { ...floor.workers, runApart } })];
      },
    });
    try {
      const path = "/api/v1/datasets/crowded/versions?format=csv";
      const { body } = await call(crowded.app, "POST", path, "a\n1\n");
      const { version } = (body as { version: { version: string } }).version;
      const [profile] = createDatasets(crowded).jobKinds;
      const spec = { dataset: "crowded", version };
      await crowded.jobs.submit(profile!, spec, { actor: systemActor("test") });
      await crowded.runner.drain();
      const { items } = (await call(crowded.app, "GET", "/api/v1/jobs")).body as { items: Json[] };
      expect(items.map(({ state }) => state)).toEqual(["succeeded", "succeeded"]);
      expect(started).toBe(2);
      expect(toldBy(crowded, "dataset.registered")).toHaveLength(1);
    } finally {
      await crowded.close();
    }
  });

  it("is not told of a version that is malformed or rejected, until it may be used", async () => {
    const expectations = [{ kind: "range", column: "t", min: 0, max: 1 }];
    await send("PUT", "/api/v1/datasets/unmet", { expectations });
    await upload("unmet", "csv", "t\n2\n");
    await upload("unmet", "parquet", "no Parquet file");
    await ground.runner.drain();
    expect(told("unmet")).toEqual([]);
    await send("PUT", "/api/v1/datasets/unmet", { expectations: [], revision: 1 });
    const taken = await upload("unmet", "csv", "t\n2\n");
    await ground.runner.drain();
    const datasetVersion = at(taken, "version.version");
    expect(told("unmet")).toEqual([{ dataset: "unmet", datasetVersion, rows: 1, sizeBytes: 4 }]);
  });
});

it("writes down who registered what", async () => {
  await upload("audited", "csv", "a\n1\n");
  const entries = itemsOf(await send("GET", "/api/v1/audit"));
  expect(entries.map(({ action, subject }) => `${action} ${subject}`)).toEqual(
    expect.arrayContaining(["dataset.create dataset/audited", "dataset.version dataset/audited"]),
  );
});
