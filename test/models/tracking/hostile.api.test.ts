import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Route } from "../../../shared/http/index.ts";
import { call } from "../../support/application.ts";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { randomSource } from "../../support/random.ts";

const seed = Number(process.env.KETLINE_TEST_SEED ?? 4711);

/** Names of parameters that MLflow's calls know, so that random requests get past the first check. */
const fields = [
  "experiment_id",
  "experiment_ids",
  "experiment_name",
  "name",
  "new_name",
  "run_id",
  "run_uuid",
  "run_ids",
  "key",
  "value",
  "timestamp",
  "step",
  "metrics",
  "params",
  "tags",
  "datasets",
  "models",
  "filter",
  "order_by",
  "max_results",
  "page_token",
  "metric_key",
  "path",
  "version",
  "stage",
  "stages",
  "alias",
  "source",
  "model_id",
  "status",
  "view_type",
  "run_view_type",
  "start_time",
  "end_time",
  "model_json",
  "artifact_location",
  "description",
  "field_name",
];

describe("a client that sends nonsense", () => {
  let ground: MlflowGround;
  let routes: readonly Route[];
  const known: Record<string, unknown> = {};
  beforeAll(async () => {
    ground = await mlflowGround();
    routes = [...ground.tracking.routes, ...ground.registry.routes];
    const { run } = await ground.ask<{ run: { info: { run_id: string } } }>("POST", "/runs/create", {
      experiment_id: "0",
    });
    await ground.ask("POST", "/registered-models/create", { name: "m" });
    await ground.ask("POST", "/model-versions/create", { name: "m", source: `runs:/${run.info.run_id}/x` });
    Object.assign(known, {
      run_id: run.info.run_id,
      experiment_id: "0",
      name: "m",
      version: "1",
      experiment_ids: ["0"],
      key: "k",
    });
  });
  afterAll(() => ground?.close());

  it(`is never told that the server is at fault (seed ${seed})`, async () => {
    const random = randomSource(seed);
    const pick = <Item>(items: readonly Item[]) => items[Math.floor(random.uniform() * items.length)]!;
    const odd = (depth = 0): unknown =>
      pick<() => unknown>([
        () => null,
        () => true,
        () => 0,
        () => -1,
        () => 1.5,
        () => 1e308,
        () => 2 ** 63,
        () => "",
        () => "x",
        () => "1",
        () => "NaN",
        () => "99999999999999999999",
        () => "a\0b",
        () => "\ud800",
        () => "%",
        () => "100%/%zz",
        () => "../../x",
        () => "models:/100%/1",
        () => "models:/m/latest",
        () => `models:/m-${"0".repeat(32)}/../x`,
        () => "runs:/x/y",
        () => "metrics.a > 1e999 and tags.`a` LIKE '%\\'",
        () => "attributes.end_time != 1 AND params.\"\ud800\" ILIKE '_'",
        () => "run_id IN ('\ud800', '')",
        () => "version_number = 1.5",
        () => "metrics.a DESC",
        () => Buffer.from('{"after":[1e308,"x"]}').toString("base64"),
        () => Buffer.from('{"after":["x"]}').toString("base64"),
        () => "x".repeat(20_000),
        () =>
          depth > 2 ? [] : Array.from({ length: Math.floor(random.uniform() * 4) }, () => odd(depth + 1)),
        () =>
          depth > 2
            ? {}
            : Object.fromEntries(Array.from({ length: 3 }, () => [pick(fields), odd(depth + 1)])),
        () => ({
          key: "k",
          value: "v",
          timestamp: 1,
          dataset: { name: "n", digest: "d", source_type: "s", source: "s" },
        }),
      ])();
    for (const route of routes) {
      for (let round = 0; round < 25; round++) {
        const body: Record<string, unknown> = {};
        for (const field of fields) {
          if (random.uniform() < 0.5)
            body[field] = field in known && random.uniform() < 0.7 ? known[field] : odd();
        }
        const segment = () => encodeURIComponent(pick(["x", "1", "%", "..", "m", "a b", "%2e%2e", "m-0"]));
        const path = route.path.replace(/:\w+(\{[^}]*\})?/g, segment);
        const query = new URLSearchParams(
          Object.entries(body).flatMap(([key, value]) =>
            (Array.isArray(value) ? value : [value]).map((one): [string, string] => [
              key,
              typeof one === "string" ? one : JSON.stringify(one),
            ]),
          ),
        );
        const answer =
          route.method === "GET"
            ? await call(ground.app, "GET", `${path}?${query}`)
            : await call(ground.app, route.method, path, pick([body, body, body, "{", '"x"', "[1]"]), {
                "content-type": "application/json",
              });
        const fault = answer.status >= 500 && answer.status !== 501;
        expect(
          fault,
          `${route.method} ${path} ${JSON.stringify(body).slice(0, 2000)} → ${JSON.stringify(answer.body)}`,
        ).toBe(false);
      }
    }
    expect(ground.logged.filter(({ msg, level }) => msg === "request failed" && level === "error")).toEqual(
      [],
    );
  }, 120_000);
});
