import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { createPlatform, type Platform } from "../../platform.ts";
import { loadConfig } from "../../shared/config.ts";
import { roles } from "../../shared/identity/index.ts";
import { version } from "../../shared/version.ts";

const directory = mkdtempSync(path.join(tmpdir(), "ketline-routes-"));
let platform: Platform;

beforeAll(async () => {
  platform = await createPlatform(loadConfig({ KETLINE_DATA: directory, KETLINE_LOG_LEVEL: "silent" }));
});
afterAll(async () => {
  await platform.close();
  rmSync(directory, { recursive: true, force: true });
});

/** The paths that nobody needs a credential for, and why. */
const open = [
  /^\/(health|version|openapi\.json)?$/, // probes and the description
  /^\/docs(\/:asset)?$/,
  /^\/blobs\//, // the signature in the link is the credential
  /^\/(ajax-)?api\/3\.0\/mlflow\/server-info$/, // says what kind of store this is, before a client signs in
  /^\/v2(\/health\/(live|ready))?$/, // what load balancers probe
  /^\/serving\/:deployment\/(ping|health|version)$/,
];

const get = (target: string) => platform.app.request(`http://localhost${target}`);

describe("the route table", () => {
  it("names a known role for every route, and `public` only where that was decided", () => {
    const known: readonly string[] = [...roles, "public"];
    expect(platform.routes.length).toBeGreaterThan(100);
    expect(platform.routes.filter(({ role }) => !known.includes(role))).toEqual([]);
    const exposed = platform.routes.filter(
      ({ role, path: at }) => role === "public" && !open.some((one) => one.test(at)),
    );
    expect(exposed.map(({ method, path: at }) => `${method} ${at}`)).toEqual([]);
  });

  it("has no two routes of the same method and path", () => {
    const names = platform.routes.map(({ method, path: at }) => `${method} ${at.replace(/:\w+/g, ":x")}`);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it("lets nobody change anything who may only look", () => {
    const changing = platform.routes.filter(
      ({ method, role, protocol }) =>
        protocol === "ketline" && method !== "GET" && (role === "public" || role === "viewer"),
    );
    // These compute an answer from what is sent, and store nothing that others see; links carry their own right.
    const computing = /^\/(blobs\/|api\/v1\/(environments\/validate|quantum\/(check|qir|circuit)))/;
    expect(changing.map(({ path: at }) => at).filter((at) => !computing.test(at))).toEqual([]);
  });
});

describe("the reference at /docs", () => {
  it("loads nothing from another host", async () => {
    const page = await get("/docs");
    const html = await page.text();
    expect(html).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    for (const asset of ["swagger-ui-bundle.js", "swagger-ui.css"]) {
      expect(html).toContain(`/docs/${asset}`);
      expect((await get(`/docs/${asset}`)).status).toBe(200);
    }
    expect((await get("/docs/package.json")).status).toBe(404);
  });
});

describe("a path that nothing answers", () => {
  it.each([
    ["/api/2.0/mlflow/nothing", { error_code: "ENDPOINT_NOT_FOUND" }],
    ["/v2/nothing/here", { error: expect.stringContaining("/v2/nothing/here") }],
    ["/subscriptions/s/nothing", { error: { code: expect.any(String) } }],
    ["/nothing", { status: 404, title: "Not found" }],
  ])("is said in the protocol of the path: %s", async (target, body) => {
    const response = await get(target);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject(body);
  });
});

describe("a method that a path lacks", () => {
  const asked: readonly [string, string, string, object][] = [
    ["PUT", "/api/2.0/mlflow/runs/create", "POST, OPTIONS", { error_code: "ENDPOINT_NOT_FOUND" }],
    ["GET", "/ajax-api/2.0/mlflow/runs/log-batch", "POST, OPTIONS", { error_code: "ENDPOINT_NOT_FOUND" }],
    ["DELETE", "/v2/models/m/infer", "POST, OPTIONS", { error: expect.stringContaining("DELETE") }],
    ["POST", "/v2", "GET, HEAD, OPTIONS", { error: expect.stringContaining("POST") }],
    ["GET", "/serving/m/invocations", "POST, OPTIONS", { message: expect.stringContaining("GET") }],
    ["PROPFIND", "/api/v1/jobs/7", "GET, HEAD, OPTIONS", { status: 405 }],
    ["POST", "/blobs/a/b%20c", "GET, HEAD, PUT, DELETE, OPTIONS", { status: 405 }],
    ["POST", "/health", "GET, HEAD, OPTIONS", { status: 405 }],
    [
      "POST",
      "/subscriptions/s/resourceGroups/g/providers/Microsoft.Quantum/workspaces/w/jobs",
      "GET, HEAD",
      { error: { code: "MethodNotAllowed" } },
    ],
  ];
  it.each(asked)("%s %s is answered 405 with those that it has", async (method, target, allow, body) => {
    const response = await platform.app.request(`http://localhost${target}`, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe(allow);
    expect(await response.json()).toMatchObject(body);
  });

  it("is said by every path of the table", async () => {
    // The workspace judges its own paths; the others are also paths of a route with a parameter that has those methods.
    const shared = /^\/subscriptions\/|\/logged-models\/search$|\/server-info$/;
    const lacking = new Map<string, Set<string>>();
    for (const { method, path: at } of platform.routes) {
      if (shared.test(at)) continue;
      const methods = lacking.get(at) ?? new Set(["GET", "POST", "PUT", "PATCH", "DELETE"]);
      methods.delete(method);
      lacking.set(at, methods);
    }
    const wrong: string[] = [];
    for (const [at, methods] of lacking) {
      const target = at.replace(/:\w+(\{[^}]*\})?/g, "1");
      for (const method of methods) {
        const { status } = await platform.app.request(`http://localhost${target}`, { method });
        if (status !== 405) wrong.push(`${method} ${target} ${status}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("but HEAD is taken where GET is, and OPTIONS names them all", async () => {
    const head = await platform.app.request("http://localhost/version", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const options = await platform.app.request("http://localhost/api/2.0/mlflow/runs/create", {
      method: "OPTIONS",
    });
    expect([options.status, options.headers.get("allow")]).toEqual([204, "POST, OPTIONS"]);
    expect((await platform.app.request("http://localhost/nothing", { method: "OPTIONS" })).status).toBe(404);
  });
});

describe("the version", () => {
  it("is the same in the package and in the code", async () => {
    expect(version).toBe(manifest.version);
    expect(await (await get("/version")).text()).toBe(version);
  });
});
