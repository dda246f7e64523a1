import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPlatform, type Platform } from "../../platform.ts";
import { loadConfig } from "../../shared/config.ts";
import { limits } from "../../shared/mlflow/index.ts";
import { emptyPostgres } from "../support/databases.ts";
import { postgresUrl } from "../support/postgres.ts";
import { randomSource } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/*
 * What is within its bound must be kept by every database: PostgreSQL's indexes end at 2,704 bytes, and a character may
 * have four. The letters are drawn, so that no compression helps.
 */

const { uniform } = randomSource(20_260_105);
const letters = (count: number, first = 0x20000) =>
  Array.from({ length: count }, () => String.fromCodePoint(first + Math.floor(uniform() * 20_000))).join("");

const server = postgresUrl();
const cases = [
  { name: "SQLite", open: async () => ({ url: undefined, remove: async () => {} }) },
  ...(server === undefined ? [] : [{ name: "PostgreSQL", open: () => emptyPostgres(server) }]),
];

describe.each(cases)("on $name", ({ open }) => {
  let platform: Platform;
  let remove: () => Promise<void>;
  beforeAll(async () => {
    const directory = await temporaryDirectory();
    const database = await open();
    platform = await createPlatform(
      loadConfig({
        KETLINE_DATA: directory.path,
        KETLINE_LOG_LEVEL: "silent",
        ...(database.url === undefined ? {} : { KETLINE_DATABASE: database.url }),
      }),
    );
    remove = async () => {
      await platform.close();
      await database.remove();
      await directory.remove();
    };
  });
  afterAll(() => remove());

  const ask = async (method: string, target: string, body?: object) => {
    const response = await platform.app.request(`http://localhost${target}`, {
      method,
      ...(body === undefined
        ? {}
        : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
    const text = await response.text();
    expect(response.status, `${method} ${target.slice(0, 100)}: ${text.slice(0, 300)}`).toBe(200);
    return JSON.parse(text);
  };
  const mlflow = (call: string, body: object, method = "POST") =>
    ask(method, `/api/2.0/mlflow/${call}`, body);

  it("the longest of everything is kept, and given back as it was", async () => {
    const pair = (value: number) => ({ key: letters(limits.key), value: letters(value) });
    const tag = pair(limits.tagValue);
    const { experiment_id } = await mlflow("experiments/create", {
      name: letters(limits.experimentName),
      tags: [pair(limits.experimentTagValue)],
    });
    const created = await mlflow("runs/create", {
      experiment_id,
      run_name: letters(limits.runName),
      user_id: letters(limits.userId),
      tags: [tag],
    });
    const { run_id } = created.run.info;
    const { key } = tag;
    const dataset = {
      name: letters(limits.dataset.name),
      digest: letters(limits.dataset.digest),
      source_type: letters(limits.text),
      source: letters(1000),
    };
    const inputTag = { key: letters(limits.inputTag.key), value: letters(limits.inputTag.value) };
    await mlflow("runs/log-inputs", { run_id, datasets: [{ dataset, tags: [inputTag] }] });
    const logged = await mlflow("logged-models", {
      experiment_id,
      name: letters(limits.experimentName),
      model_type: letters(limits.modelType),
      params: [pair(limits.paramValue)],
      tags: [pair(limits.tagValue)],
    });
    const { model_id } = logged.model.info;
    const metric = { value: 1, timestamp: 2, step: 3, model_id };
    const metrics = [
      { ...metric, key: letters(limits.key, 0x4e00), dataset_name: letters(limits.dataset.name, 0x4e00) },
      { ...metric, key, dataset_name: letters(300), dataset_digest: dataset.digest },
    ];
    await mlflow("runs/log-batch", { run_id, metrics, params: [pair(limits.paramValue)], tags: [] });
    const name = letters(limits.modelName);
    await mlflow("registered-models/create", {
      name,
      description: letters(limits.description),
      tags: [pair(limits.registryTagValue)],
    });
    const source = `https://example.org/${letters(limits.location - 30)}`;
    await mlflow("model-versions/create", { name, source, tags: [pair(limits.registryTagValue)] });
    await mlflow("registered-models/alias", { name, alias: letters(limits.aliasName), version: "1" });

    const { run } = await ask("GET", `/api/2.0/mlflow/runs/get?run_id=${run_id}`);
    expect(run.data.tags).toContainEqual(tag);
    expect(run.inputs.dataset_inputs[0].dataset).toMatchObject(dataset);
    const search = { experiment_ids: [experiment_id], order_by: [`tags.\`${key}\` DESC`], max_results: 1 };
    await mlflow("runs/create", { experiment_id, run_name: "another" });
    const page = await mlflow("runs/search", search);
    const next = await mlflow("runs/search", { ...search, page_token: page.next_page_token });
    expect([page.runs.length, next.runs.length]).toEqual([1, 1]);
  });
});
