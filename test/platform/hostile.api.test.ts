import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPlatform, type Platform } from "../../platform.ts";
import { loadConfig } from "../../shared/config.ts";

/* What no client of good will sends, to every route that might take it. */

const directory = mkdtempSync(path.join(tmpdir(), "ketline-hostile-"));
let platform: Platform;

beforeAll(async () => {
  platform = await createPlatform(loadConfig({ KETLINE_DATA: directory, KETLINE_LOG_LEVEL: "silent" }));
});
afterAll(async () => {
  await platform.close();
  rmSync(directory, { recursive: true, force: true });
});

async function send(method: string, target: string, body?: string | Uint8Array<ArrayBuffer>) {
  const response = await platform.app.request(`http://localhost${target}`, {
    method,
    headers: { "content-type": "application/json", "if-match": "*" },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  return { status: response.status, text, headers: response.headers };
}

/** Routes that read a body, with something in the place of each parameter. */
const takingBodies = () =>
  platform.routes
    .filter(({ method }) => method !== "GET")
    .map(({ method, path: at }) => ({ method, target: at.replace(/:(\w+)(\{[^}]*\})?/g, "x") }));

/** No fault of the server: an answer that it is meant to give (not done here; not ready). */
const isSaid = (status: number) => status < 500 || status === 501 || status === 503;

/** Words that every object of JavaScript answers to. */
const owned = ["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf", "__defineGetter__"];

describe("every route", () => {
  it.each([
    ["400,000 levels of lists", "[".repeat(400_000)],
    ["400,000 levels of closed lists", `${"[".repeat(400_000)}${"]".repeat(400_000)}`],
    ["200,000 levels of objects", `${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}`],
    ["a field of 100,000 levels", `{"name":${"[".repeat(100_000)}${"]".repeat(100_000)},"tags":[]}`],
    ["half a surrogate pair as a key", '{"\\ud800":1}'],
    ["what is not UTF-8", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ["a key called __proto__", '{"__proto__":{"a":1},"constructor":{"prototype":{"b":1}}}'],
    ["null", "null"],
    ["a number that no double holds", "1e400"],
  ])("refuses %s in its own protocol", async (_, body) => {
    for (const { method, target } of takingBodies()) {
      const { status, text } = await send(method, target, body);
      expect(status, `${method} ${target}: ${text.slice(0, 200)}`).toSatisfy(isSaid);
    }
  });

  it.each(["%", "%ff", "%00", "%c0%af", "%ed%a0%80", "a%0ab", ...owned])(
    "takes %s in the place of a parameter as what it is, or refuses it",
    async (word) => {
      for (const { method, path: at } of platform.routes) {
        if (!at.includes(":")) continue;
        const target = at.replace(/:(\w+)(\{[^}]*\})?/g, word);
        const { status, text } = await send(method, target, method === "GET" ? undefined : "{}");
        expect(status, `${method} ${target}: ${text.slice(0, 200)}`).toSatisfy(isSaid);
        if (word.startsWith("%") && status < 400) expect.fail(`${method} ${target} was taken: ${status}`);
      }
    },
  );

  it.each(["%ff", "%00", ...owned])("takes %s as a key and as a value of its query", async (word) => {
    const keys = [
      "name",
      "run_id",
      "filter",
      "path",
      "page_token",
      "cursor",
      "limit",
      "max_results",
      "version",
    ];
    const query = [`${word}=${word}`, `${word}=1`, ...keys.map((key) => `${key}=${word}`)].join("&");
    for (const { method, path: at } of platform.routes) {
      if (method !== "GET" || at.endsWith("/events")) continue;
      const { status, text } = await send(method, `${at.replace(/:(\w+)(\{[^}]*\})?/g, "x")}?${query}`);
      expect(status, `${method} ${at}: ${text.slice(0, 200)}`).toSatisfy(isSaid);
    }
  });
});

describe("a new line in a name", () => {
  it.each(["a%0ab", "%0a", "a/%0d%0a/b"])(
    "is refused with its reason, as other control characters: %s",
    async (name) => {
      for (const method of ["PUT", "GET", "DELETE"]) {
        const target = `/api/2.0/mlflow-artifacts/artifacts/0/${name}`;
        const { status, text } = await send(method, target, method === "PUT" ? "x" : undefined);
        expect([status, text]).toEqual([400, expect.stringContaining("INVALID_PARAMETER_VALUE")]);
      }
    },
  );
});

describe("a word that JavaScript owns", () => {
  const mlflow = (call: string, body: object) =>
    send("POST", `/api/2.0/mlflow/${call}`, JSON.stringify(body));

  it.each(owned)("is a value, a key and a name like any other: %s", async (word) => {
    const name = `words-${word}`;
    const created = await mlflow("experiments/create", { name, tags: [{ key: word, value: word }] });
    expect(created.status).toBe(200);
    const { experiment_id: id } = JSON.parse(created.text);
    const run = JSON.parse((await mlflow("runs/create", { experiment_id: id, run_name: word })).text).run;
    const { run_id } = run.info;
    const metric = { run_id, key: word, timestamp: 1 };
    expect((await mlflow("runs/log-metric", { ...metric, value: word })).status).toBe(400);
    expect((await mlflow("runs/log-metric", { ...metric, value: 3 })).status).toBe(200);
    expect((await mlflow("runs/log-parameter", { run_id, key: word, value: word })).status).toBe(200);
    expect((await mlflow("runs/set-tag", { run_id, key: word, value: word })).status).toBe(200);
    const found = JSON.parse((await send("GET", `/api/2.0/mlflow/runs/get?run_id=${run_id}`)).text).run.data;
    expect([found.metrics[0].key, found.params[0].key, found.params[0].value]).toEqual([word, word, word]);
    for (const filter of [`metrics.${word} = 3`, `params.${word} = '${word}'`, `tags.${word} = '${word}'`]) {
      const search = await mlflow("runs/search", { experiment_ids: [id], filter });
      expect(JSON.parse(search.text).runs?.length, `${filter}: ${search.text}`).toBe(1);
    }
    expect((await mlflow("runs/search", { experiment_ids: [id], filter: `${word} = 3` })).status).toBe(400);
    expect((await mlflow("runs/search", { experiment_ids: [id], order_by: [word] })).status).toBe(400);
    expect((await mlflow("registered-models/create", { name: word })).status).toBe(200);
    expect((await send("GET", `/v2/models/${word}`)).status).toBeLessThan(500);
  });

  it.each(owned)("is no ending that says what a file is, and no file of the reference: %s", async (word) => {
    const file = `/api/2.0/mlflow-artifacts/artifacts/0/a.${word}`;
    const put = await platform.app.request(`http://localhost${file}`, { method: "PUT", body: "x" });
    expect(put.status).toBe(200);
    expect((await send("GET", file)).headers.get("content-type")).toBe("application/octet-stream");
    expect((await send("GET", `/docs/${word}`)).status).toBe(404);
  });

  it.each(owned)("is no parameter of a template: %s", async (word) => {
    const body = `{"kind":"classical","parameters":{"${word}":1}}`;
    const { status, text } = await send("POST", "/api/v1/environments/validate", body);
    if (word === "__proto__") expect([status, text]).toEqual([400, expect.stringContaining("__proto__")]);
    else expect(JSON.parse(text).problems).toContainEqual(expect.objectContaining({ parameter: word }));
  });
});

describe("the reference", () => {
  it("is shown in no page of somebody else's, and sends nobody its address", async () => {
    const { headers } = await send("GET", "/docs");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
  });
});
