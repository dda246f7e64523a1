import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createPlatform, type Platform } from "../../../platform.ts";
import { type BlobStore, openBlobStore } from "../../../shared/blobs/index.ts";
import { systemClock } from "../../../shared/clock.ts";
import { loadConfig } from "../../../shared/config.ts";
import { call, testSigningKey } from "../../support/application.ts";

let directory: string;
let platform: Platform;
let blobs: BlobStore;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
  const config = loadConfig({
    KETLINE_DATA: directory,
    KETLINE_LOG_LEVEL: "silent",
    KETLINE_SIGNING_KEY: testSigningKey,
  });
  platform = await createPlatform(config);
  blobs = await openBlobStore(config.blobs, { signingKey: testSigningKey, clock: systemClock });
});
afterAll(async () => {
  await platform.close();
  await rm(directory, { recursive: true, force: true });
});

type Json = Readonly<Record<string, unknown>>;
const send = async (method: string, at: string, body?: unknown) => {
  const answer = await call(platform.app, method, `http://localhost${at}`, body);
  return { ...answer, body: answer.body as Json };
};
const api = (method: string, at: string, body?: unknown) => send(method, `/api/v1/${at}`, body);
/** @returns the version */
const upload = async (name: string, content: string) => {
  const answer = await api("POST", `datasets/${name}/versions?format=csv`, content);
  expect(answer.status, JSON.stringify(answer.body)).toBe(202);
  await platform.runner.drain();
  return (answer.body.version as { version: string }).version;
};
const usersOf = async (at: string) => {
  const { status, body } = await api("DELETE", at);
  expect({ status, body }).toMatchObject({ status: 409 });
  return body.usedBy as string[];
};
const line = (slope: number) =>
  `x,y\n${Array.from({ length: 400 }, (_, i) => `${i % 20},${slope * (i % 20) + 1}`).join("\n")}\n`;

it("deletes a version that nobody uses: reads answer 404, `latest` moves, and the content may come again", async () => {
  const first = await upload("moved", "a\n1\n");
  const second = await upload("moved", "a\n2\n");
  expect(
    (await api("DELETE", `datasets/moved/versions/${second.slice(0, 12)}?reason=consent%20withdrawn`)).status,
  ).toBe(204);
  for (const at of [`versions/${second}`, `versions/${second}/content`]) {
    const gone = await api("GET", `datasets/moved/${at}`);
    expect(gone.status).toBe(404);
    expect(gone.body.detail).toBe(`The data set "moved" has no version "${second}".`);
  }
  expect((await api("DELETE", `datasets/moved/versions/${second}`)).status).toBe(404);
  expect((await api("GET", "datasets/moved/versions/latest")).body.version).toBe(first);
  expect((await blobs.list("datasets/moved/")).blobs.filter(({ key }) => key.includes(second))).toEqual([]);
  const { items } = (await api("GET", "audit?action=dataset.version.delete")).body as { items: Json[] };
  expect(items).toMatchObject([
    {
      subject: "dataset/moved",
      reason: "consent withdrawn",
      before: { version: second, number: 2, rows: 1 },
    },
  ]);
  expect(await upload("moved", "a\n2\n")).toBe(second);
  expect((await api("GET", "datasets/moved/versions/latest")).body).toMatchObject({
    version: second,
    number: 3,
  });
});

it("wants to know which version is meant, of a data set that is there", async () => {
  const latest = await api("DELETE", "datasets/moved/versions/latest");
  expect(latest.status).toBe(400);
  expect(latest.body.detail).toMatch(/version is "latest".*SHA-256/);
  expect((await api("DELETE", "datasets/nowhere")).body.detail).toBe('There is no data set "nowhere".');
});

it("refuses while a job reads it, and says which", async () => {
  const answer = await api("POST", "datasets/busy/versions?format=csv", "a\n1\n");
  const { version, job } = answer.body as { version: { version: string }; job: { id: string } };
  const user = `the job ${job.id} (datasets.profile), which is queued`;
  expect(await usersOf(`datasets/busy/versions/${version.version}`)).toEqual([user]);
  expect(await usersOf("datasets/busy")).toEqual([user]);
  await platform.runner.drain();
  expect((await api("DELETE", "datasets/busy")).status).toBe(204);
  expect((await api("GET", "datasets/busy")).body.detail).toBe('There is no data set "busy".');
  expect((await api("GET", "datasets/busy/versions/latest")).status).toBe(404);
  expect((await blobs.list("datasets/busy/")).blobs).toEqual([]);
});

it("refuses while runs, model versions and monitors use it, names them, and lets go with the last of them", async () => {
  const trained = await upload("lines", line(3));
  const other = await upload("lines", line(4));
  const training = await api("POST", "training", {
    ...{ dataset: "lines", version: trained, task: "regression", target: { column: "y" } },
    ...{ features: [{ column: "x" }], split: { holdoutFraction: 0.25 } },
    ...{ algorithm: { kind: "linear", l2: 0 }, registeredModel: "line" },
  });
  expect(training.status, JSON.stringify(training.body)).toBe(202);
  await platform.runner.drain();
  const { runId } = (await api("GET", `training/${(training.body as { id: string }).id}`)).body;
  const batch = await api("POST", "batch-predictions", {
    ...{
      input: { dataset: "lines", version: trained, columns: ["x"] },
      target: { model: "line", version: 1 },
    },
    output: { dataset: "predicted" },
  });
  expect(batch.status, JSON.stringify(batch.body)).toBe(202);
  await platform.runner.drain();
  const predicted = (await api("GET", "datasets/predicted/versions/latest")).body.version;
  const monitor = (version: string) => ({
    target: { model: "line" },
    reference: { kind: "dataset", dataset: "lines", version },
  });
  await api("PUT", "monitors/exact", monitor(other.slice(0, 10)));
  await api("PUT", "monitors/newest", monitor("latest"));
  await api("POST", "monitors/exact/evaluate", { window: { dataset: "lines", version: trained } });
  await platform.runner.drain();
  expect((await blobs.list(`monitoring/references/v2/lines/${other}/`)).blobs).toHaveLength(1);

  const made =
    `version ${predicted} of the data set "predicted", ` +
    `which the job ${(batch.body as { id: string }).id} (serving.batch) made from it`;
  const models = ['version 1 of the model "line"', `the run ${runId}`];
  expect(await usersOf(`datasets/lines/versions/${trained}`)).toEqual([...models, made]);
  expect(await usersOf(`datasets/lines/versions/${other}`)).toEqual(['the monitor "exact"']);
  expect(await usersOf("datasets/lines")).toEqual([
    ...models,
    'the monitor "exact"',
    'the monitor "newest"',
    made,
  ]);
  expect((await api("DELETE", "datasets/predicted")).status).toBe(204);
  expect(await usersOf(`datasets/lines/versions/${trained}`)).toEqual(models);

  await api("DELETE", "monitors/exact");
  expect((await api("DELETE", `datasets/lines/versions/${other}`)).status).toBe(204);
  await platform.timers.find(({ name }) => name === "monitoring-retention")?.run();
  expect((await blobs.list("monitoring/references/")).blobs).toEqual([]);

  const mlflow = (method: string, at: string, body: unknown) => send(method, `/api/2.0/mlflow/${at}`, body);
  expect((await mlflow("DELETE", "model-versions/delete", { name: "line", version: "1" })).status).toBe(200);
  expect((await mlflow("POST", "runs/delete", { run_id: runId })).status).toBe(200);
  // It is the last one that "newest" could mean.
  expect(await usersOf(`datasets/lines/versions/${trained}`)).toEqual(['the monitor "newest"']);
  await api("DELETE", "monitors/newest");
  expect((await api("DELETE", `datasets/lines/versions/${trained}`)).status).toBe(204);
  const none = await api("GET", "datasets/lines/versions/latest");
  expect(none.body.detail).toBe('No version of the data set "lines" is ready.');
  expect((await api("DELETE", "datasets/lines")).status).toBe(204);
  expect((await api("GET", "training")).status).toBe(200);
});
