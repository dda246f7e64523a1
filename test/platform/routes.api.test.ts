import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
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

describe("GET /openapi.json", () => {
  it("is valid OpenAPI 3.1 and describes every route of Ketline's own API", async () => {
    const document = (await (await get("/openapi.json")).json()) as {
      openapi: string;
      paths: Record<string, Record<string, unknown>>;
    };
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    expect(document.openapi).toMatch(/^3\.1\./);
    const own = platform.routes.filter(({ protocol }) => protocol === "ketline");
    const missing = own.filter(({ method, path: at }) => {
      const documented = at.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");
      return document.paths[documented]?.[method.toLowerCase()] === undefined;
    });
    expect(missing).toEqual([]);
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(["/api/v1/training", "/api/v1/deployments/{name}"]),
    );
  });

  it("gives every operation an id of its own", async () => {
    const { paths } = (await (await get("/openapi.json")).json()) as {
      paths: Record<string, Record<string, { operationId: string }>>;
    };
    const ids = Object.values(paths).flatMap((operations) =>
      Object.values(operations).map(({ operationId }) => operationId),
    );
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
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

describe("the version", () => {
  it("is the same in the package and in the code", async () => {
    expect(version).toBe(manifest.version);
    expect(await (await get("/version")).text()).toBe(version);
  });
});
