import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, type TestApplication, testGround } from "../../support/application.ts";
import { bearer, createTokenFor, testAdminToken } from "../../support/tokens.ts";

let ground: TestApplication;
let operator: Record<string, string>;

beforeAll(async () => {
  ground = await testGround({ env: { KETLINE_ADMIN_TOKEN: testAdminToken } });
  operator = bearer(await createTokenFor(ground.app, "operator"));
});
afterAll(() => ground.close());

const get = (query: string, headers = operator) =>
  call(ground.app, "GET", `/api/v1/audit${query}`, undefined, headers);

describe("the audit log over HTTP", () => {
  it("is for operators", async () => {
    const contributor = bearer(await createTokenFor(ground.app, "contributor"));
    expect((await get("", contributor)).status).toBe(403);
    expect((await get("")).status).toBe(200);
  });

  it("is read page by page, by the beginning of the subject", async () => {
    const subjects: string[] = [];
    let cursor = "";
    do {
      const { body } = await get(`?subject=token/&limit=1${cursor}`);
      const page = body as { items: { subject: string; action: string }[]; nextCursor?: string };
      subjects.push(...page.items.map((entry) => entry.subject));
      cursor = page.nextCursor === undefined ? "" : `&cursor=${page.nextCursor}`;
    } while (cursor !== "");
    expect(subjects.length).toBeGreaterThanOrEqual(2);
    expect(new Set(subjects).size).toBe(subjects.length);
    expect((await get("?subject=deployment/")).body).toEqual({ items: [] });
  });

  it("says which parameter is wrong", async () => {
    expect(await get("?limit=many")).toMatchObject({ status: 400, body: { field: "limit" } });
    expect(await get("?cursor=x")).toMatchObject({ status: 400, body: { field: "cursor" } });
  });
});
