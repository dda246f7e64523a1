import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, type TestApplication, testGround } from "../../support/application.ts";
import { basic, bearer, testAdminToken } from "../../support/tokens.ts";

const asAdmin = bearer(testAdminToken);
let ground: TestApplication;

beforeAll(async () => {
  ground = await testGround({ env: { KETLINE_ADMIN_TOKEN: testAdminToken } });
});
afterAll(() => ground.close());

interface Created {
  readonly id: string;
  readonly token: string;
}

async function createToken(body: Record<string, unknown>): Promise<Created> {
  const answer = await call(ground.app, "POST", "/api/v1/tokens", body, asAdmin);
  expect(answer.status).toBe(201);
  return answer.body as Created;
}

describe("tokens", () => {
  it("are created by an administrator, who sees the secret this once", async () => {
    const created = await createToken({ name: "notebook", role: "contributor" });
    expect(created.token).toMatch(/^ktl_[\w-]{43}$/);
    const listed = await call(ground.app, "GET", "/api/v1/tokens", undefined, asAdmin);
    expect(JSON.stringify(listed.body)).toContain(created.id);
    expect(JSON.stringify(listed.body)).not.toContain(created.token);
    const rows = await ground.database
      .tables<{ access_token: Record<string, unknown> }>()
      .selectFrom("access_token")
      .selectAll()
      .execute();
    expect(JSON.stringify(rows)).not.toContain(created.token);
    const audited = await ground.audit.list({ subject: `token/${created.id}` }, undefined, 10);
    expect(audited).toMatchObject([
      {
        action: "token.create",
        actor: { id: "admin-token" },
        after: { name: "notebook", role: "contributor" },
      },
    ]);
    expect(JSON.stringify(audited)).not.toContain(created.token);
  });

  it("open the routes of their role and no others, as bearer token or as Basic password", async () => {
    const { token } = await createToken({ name: "reader", role: "viewer" });
    for (const credential of [bearer(token), basic(token)]) {
      expect((await call(ground.app, "GET", "/api/v1/jobs", undefined, credential)).status).toBe(200);
      const refused = await call(
        ground.app,
        "POST",
        "/api/v1/tokens",
        { name: "x", role: "admin" },
        credential,
      );
      expect(refused.status).toBe(403);
      expect(refused.body).toMatchObject({ detail: "reader has the role viewer; this needs admin." });
    }
  });

  it("are needed once an identity is configured", async () => {
    const answer = await call(ground.app, "GET", "/api/v1/jobs");
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toContain("Bearer");
  });

  it.each([
    ["a token that nobody handed out", bearer(`ktl_${"a".repeat(43)}`)],
    ["a wrong admin token", bearer("an-admin-token-for-the-tests-onlY")],
    ["an unknown scheme", { authorization: "Negotiate abcdef" }],
    ["Basic without a colon", { authorization: `Basic ${Buffer.from("nothing").toString("base64")}` }],
    ["an empty credential", { authorization: "Bearer" }],
  ])("are refused when the credential is %s", async (_, headers) => {
    expect((await call(ground.app, "GET", "/api/v1/jobs", undefined, headers)).status).toBe(401);
  });

  it("stop working when they expire", async () => {
    const { token } = await createToken({ name: "brief", role: "viewer", expiresInSeconds: 60 });
    expect((await call(ground.app, "GET", "/api/v1/jobs", undefined, bearer(token))).status).toBe(200);
    ground.clock.advance(60_000);
    const answer = await call(ground.app, "GET", "/api/v1/jobs", undefined, bearer(token));
    expect(answer.status).toBe(401);
    expect(answer.body).toMatchObject({ detail: expect.stringContaining('"brief" expired') });
  });

  it("stop working when they are revoked, which is written down and can be done once", async () => {
    const { id, token } = await createToken({ name: "lost", role: "operator" });
    expect((await call(ground.app, "GET", "/api/v1/jobs", undefined, bearer(token))).status).toBe(200);
    expect((await call(ground.app, "DELETE", `/api/v1/tokens/${id}`, undefined, asAdmin)).status).toBe(200);
    expect((await call(ground.app, "GET", "/api/v1/jobs", undefined, bearer(token))).status).toBe(401);
    expect((await call(ground.app, "DELETE", `/api/v1/tokens/${id}`, undefined, asAdmin)).status).toBe(409);
    expect((await call(ground.app, "DELETE", "/api/v1/tokens/nobody", undefined, asAdmin)).status).toBe(404);
    const [entry] = await ground.audit.list({ subject: `token/${id}` }, undefined, 10);
    expect(entry).toMatchObject({ action: "token.revoke", before: { name: "lost", role: "operator" } });
  });

  it("that another instance revoked stop working within two seconds", async () => {
    const { id, token } = await createToken({ name: "elsewhere", role: "viewer" });
    const get = () => call(ground.app, "GET", "/api/v1/jobs", undefined, bearer(token));
    expect((await get()).status).toBe(200);
    await ground.database
      .tables<{ access_token: { id: string; revoked_ms: number } }>()
      .updateTable("access_token")
      .set({ revoked_ms: ground.clock() })
      .where("id", "=", id)
      .execute();
    ground.clock.advance(2_000);
    expect((await get()).status).toBe(401);
  });

  it("remember when they were last used, to the minute", async () => {
    const { id, token } = await createToken({ name: "clocked", role: "viewer" });
    const lastUsed = async () =>
      (await ground.identity.listTokens(undefined, 100)).find((listed) => listed.id === id)?.lastUsedMs;
    const use = () => call(ground.app, "GET", "/api/v1/jobs", undefined, bearer(token));
    expect(await lastUsed()).toBeNull();
    const first = ground.clock();
    await use();
    ground.clock.advance(30_000);
    await use();
    expect(await lastUsed()).toBe(first);
    ground.clock.advance(30_000);
    await use();
    expect(await lastUsed()).toBe(first + 60_000);
  });

  it.each([
    [{ role: "viewer" }, "name"],
    [{ name: "x", role: "owner" }, "role"],
    [{ name: "x", role: "viewer", expiresInSeconds: 59 }, "expiresInSeconds"],
    [{ name: "x", role: "viewer", expiresInSeconds: 10 ** 9 }, "expiresInSeconds"],
  ])("are not created from %j", async (body, field) => {
    const answer = await call(ground.app, "POST", "/api/v1/tokens", body, asAdmin);
    expect(answer).toMatchObject({ status: 400, body: { field } });
  });

  it("never carry a role above that of who creates them", async () => {
    const operator = { id: "o", name: "olga", role: "operator", source: "entra" } as const;
    await expect(
      ground.identity.createToken({ name: "up", role: "admin", expiresInSeconds: 60 }, operator),
    ).rejects.toMatchObject({ kind: "forbidden" });
  });

  it("are listed in pages, newest first, each once", async () => {
    const seen: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const query: string = cursor === undefined ? "" : `&cursor=${cursor}`;
      const { body } = await call(ground.app, "GET", `/api/v1/tokens?limit=2${query}`, undefined, asAdmin);
      const { items, nextCursor } = body as { items: Created[]; nextCursor?: string };
      seen.push(...items.map((item) => item.id));
      cursor = nextCursor;
      if (cursor === undefined) break;
    }
    const all = await ground.identity.listTokens(undefined, 1000);
    expect(seen).toEqual(all.map((token) => token.id));
    expect(new Set(seen).size).toBe(seen.length);
  });
});
