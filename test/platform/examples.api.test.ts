import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPlatform, type Platform } from "../../platform.ts";
import { requestExamples } from "../../request-examples.ts";
import { loadConfig } from "../../shared/config.ts";
import { call } from "../support/application.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

interface Described {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly example?: unknown }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly example?: unknown }>> };
  readonly responses: Readonly<Record<string, unknown>>;
}

const root = path.dirname(path.dirname(import.meta.dirname));
let directory: { path: string; remove(): Promise<void> };
let platform: Platform;
let operations: ReadonlyMap<string, Described>;

beforeAll(async () => {
  directory = await temporaryDirectory();
  platform = await createPlatform(loadConfig({ KETLINE_DATA: directory.path, KETLINE_LOG_LEVEL: "silent" }));
  const { body } = await call(platform.app, "GET", "/openapi.json");
  const { paths } = body as { paths: Record<string, Record<string, Described>> };
  operations = new Map(
    Object.entries(paths).flatMap(([at, methods]) =>
      Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${at}`, operation]),
    ),
  );
  await seed();
});
afterAll(async () => {
  await platform?.close();
  await directory?.remove();
});

/** The data set `weather` and the model `rain`, as the guides make them. */
async function seed(): Promise<void> {
  const csv = await readFile(path.join(root, "node_modules/vega-datasets/data/seattle-weather.csv"));
  await send("POST", "/api/v1/datasets/weather/versions?format=csv", csv);
  await platform.runner.drain();
  const example = operations.get("POST /api/v1/training")?.requestBody?.content["application/json"]?.example;
  await send("POST", "/api/v1/training", example);
  await platform.runner.drain();
}

async function send(method: string, target: string, body?: unknown, type?: string) {
  const answer = await call(
    platform.app,
    method,
    target,
    body,
    type === undefined ? {} : { "content-type": type },
  );
  if (answer.status >= 400) {
    throw new Error(`${method} ${target} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  }
  return answer;
}

const nothingToFill = "there is nothing to fill in";
/** What has no example, each with the reason. */
const without: readonly (readonly [call: RegExp, reason: string])[] = [
  [/training\/\{id\}\/keys$/, "a training with partitionBy comes before it"],
  [/ \/blobs\//, "a signed link is its own example"],
  [
    / (\/|\/health|\/version|\/openapi\.json|\/docs|\/v2|\/v2\/health\/\w+|\/v2\/models\/stats)$/,
    nothingToFill,
  ],
  [/server-info$|quantum\/targets$|environments\/templates$/, nothingToFill],
  [/ \/(ajax-)?api\/(2\.0\/mlflow\/traces|3\.0\/mlflow\/\{rest\})/, "it is not served"],
  [/jobs\/\{id\}\/(cancel|retry)$/, "the job must be in a state that passes within a moment"],
  [/uploads\/\{id\}\/complete$|mpu\/(complete|abort)/, "an upload to a signed link comes before it"],
  [/DELETE \/api\/v1\/datasets\/\{name\}\/versions/, "it names the hash of what was uploaded"],
  [
    /runs\/log-model$|artifacts\/files$|get-artifact$|model-versions\/(create|delete)$/,
    "it names files of a client",
  ],
  [/aliases\/\{alias\}\/rollback$/, "an alias must have been moved twice"],
  [/\/test$|deliveries\/\{delivery\}\/retry$/, "it sends a request to somebody else"],
  [/PATCH \/api\/v1\/deployments/, "it needs the header If-Match with the revision that was read"],
  [
    /results\/(latest|\{windowEndMs\})|\/alerts\/\{id\}|\/rollbacks\/\{id\}/,
    "days of traffic come before it",
  ],
  [/(POST|\{id\}).*transfers|transfers\/\{id\}/, "it names another server"],
  [/(PATCH|DELETE) \/subscriptions/, "a job of the stock client comes before it"],
];

describe("the examples of the reference", () => {
  it("are of calls that there are", () => {
    expect(requestExamples.map(([name]) => name).filter((name) => !operations.has(name))).toEqual([]);
  });

  it("work, one after the other, on a server that has their data set and their model", async () => {
    const made = new Map<string, string>();
    const failed: string[] = [];
    for (const [name, , answered] of requestExamples) {
      const { parameters = [], requestBody } = operations.get(name)!;
      const put = (text: string) =>
        [...made].reduce((now, [shown, real]) => now.replaceAll(shown, real), text);
      const [method = "", template = ""] = name.split(" ");
      const at = parameters
        .filter((each) => each.in === "path")
        .reduce((now, each) => now.replace(`{${each.name}}`, String(each.example)), template);
      const query = new URLSearchParams();
      for (const { name: key, in: where, example } of parameters) {
        if (where === "query" && example !== undefined) {
          for (const one of [example].flat()) query.append(key, String(one));
        }
      }
      const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
      const body = content?.example;
      const sent =
        typeof body === "string" ? body : body === undefined ? undefined : put(JSON.stringify(body));
      try {
        const answer = await send(method, put(`${at}?${query}`), sent, sent === undefined ? undefined : type);
        for (const [shown, where] of Object.entries(answered?.makes ?? {})) {
          const real = where
            .split(".")
            .reduce((now: unknown, key) => (now as Record<string, unknown>)?.[key], answer.body);
          made.set(shown, String(real));
        }
        await platform.runner.drain();
      } catch (error) {
        failed.push(error instanceof Error ? error.message : String(error));
      }
    }
    expect(failed).toEqual([]);
  });

  it("are there for every call that has something to fill in", () => {
    const bare = [...operations].filter(([name, { parameters = [], requestBody }]) => {
      const filled =
        parameters.some(({ example }) => example !== undefined) ||
        Object.values(requestBody?.content ?? {}).some(({ example }) => example !== undefined);
      return !filled && !without.some(([pattern]) => pattern.test(name));
    });
    expect(bare.map(([name]) => name)).toEqual([]);
  });
});
