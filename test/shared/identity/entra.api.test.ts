import { generateKeyPair, UnsecuredJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createIdentity, type IdentityOperations } from "../../../shared/identity/index.ts";
import { call, type TestApplication, testGround } from "../../support/application.ts";
import { startIssuer, type TestIssuer } from "../../support/issuer.ts";
import { basic, bearer } from "../../support/tokens.ts";

const grace = { sub: "pairwise-1", oid: "grace-object-id", preferred_username: "grace@example.org" };
let issuer: TestIssuer;
let ground: TestApplication;
let clockMs: number;

beforeEach(async () => {
  clockMs = Date.UTC(2026, 0, 5, 9);
  issuer = await startIssuer(() => clockMs);
  ground = await testGround({ env: issuer.env });
});
afterEach(async () => {
  await ground.close();
  await issuer.close();
});

const actorOf = (token: string, identity: IdentityOperations = ground.identity) =>
  identity.authenticate(new Request("http://ketline.example/api/v1/jobs", { headers: bearer(token) }));

/** Ketline as it is after a start: nothing remembered, no keys fetched. */
const started = (): IdentityOperations => createIdentity(ground);

describe("an Entra token", () => {
  it("says who calls and in which role", async () => {
    const token = await issuer.sign({ ...grace, roles: ["Ketline.Operator"] });
    expect(await actorOf(token)).toEqual({
      id: "grace-object-id",
      name: "grace@example.org",
      role: "operator",
      source: "entra",
    });
  });

  it("opens the routes of that role, as bearer token or as Basic password", async () => {
    const token = await issuer.sign({ ...grace, roles: ["Ketline.Viewer"] });
    for (const headers of [bearer(token), basic(token)]) {
      expect((await call(ground.app, "GET", "/api/v1/jobs", undefined, headers)).status).toBe(200);
      expect((await call(ground.app, "GET", "/api/v1/audit", undefined, headers)).status).toBe(403);
    }
  });

  it.each([
    [["Ketline.Viewer", "Ketline.Admin", "Other.Owner"], "admin"],
    [["contributor"], "contributor"],
    [["viewer", "operator"], "operator"],
  ])("of the app roles %j has the highest", async (roles, role) => {
    expect(await actorOf(await issuer.sign({ ...grace, roles }))).toMatchObject({ role });
  });

  it.each([[[]], [["Other.Admin"]], [["Ketline.Owner"]], [["ketline.admins"]], [undefined]])(
    "of the app roles %j is forbidden everything",
    async (roles) => {
      const token = await issuer.sign(roles === undefined ? grace : { ...grace, roles });
      await expect(actorOf(token)).rejects.toMatchObject({
        kind: "forbidden",
        message: expect.stringContaining("grace@example.org is signed in without a role"),
      });
    },
  );

  it("of an application has its subject's id", async () => {
    const token = await issuer.sign({
      sub: "service-principal",
      azp: "pipeline",
      roles: ["Ketline.Contributor"],
    });
    expect(await actorOf(token)).toMatchObject({ id: "service-principal", name: "pipeline" });
  });

  it("signed by another key under the same key id is refused", async () => {
    const { privateKey } = await generateKeyPair("RS256");
    const token = await issuer.sign({ ...grace, roles: ["Ketline.Admin"] }, { key: privateKey });
    await expect(actorOf(token)).rejects.toMatchObject({ kind: "unauthenticated" });
  });

  it("whose claims were changed after signing is refused", async () => {
    const [header, payload, signature] = (await issuer.sign({ ...grace, roles: ["Ketline.Viewer"] })).split(
      ".",
    );
    const claims = JSON.parse(Buffer.from(payload ?? "", "base64url").toString());
    const forged = Buffer.from(JSON.stringify({ ...claims, roles: ["Ketline.Admin"] })).toString("base64url");
    await expect(actorOf([header, forged, signature].join("."))).rejects.toMatchObject({
      kind: "unauthenticated",
    });
  });

  it("without a signature is refused", async () => {
    const token = new UnsecuredJWT({ ...grace, roles: ["Ketline.Admin"] })
      .setIssuer(issuer.issuer)
      .setAudience(issuer.audience)
      .setExpirationTime(new Date(clockMs + 3600_000))
      .encode();
    await expect(actorOf(token)).rejects.toMatchObject({ kind: "unauthenticated" });
  });

  it("signed with the public key as a shared secret is refused", async () => {
    const { SignJWT } = await import("jose");
    const jwks = await (await fetch(issuer.jwksUrl)).text();
    const token = await new SignJWT({ ...grace, roles: ["Ketline.Admin"] })
      .setProtectedHeader({ alg: "HS256", kid: "key-1" })
      .setIssuer(issuer.issuer)
      .setAudience(issuer.audience)
      .setExpirationTime(new Date(clockMs + 3600_000))
      .sign(new TextEncoder().encode(jwks));
    await expect(actorOf(token)).rejects.toMatchObject({ kind: "unauthenticated" });
  });

  it("for another audience or from another issuer is refused, saying what would be right", async () => {
    const elsewhere = await issuer.sign(grace, { audience: "api://other" });
    await expect(actorOf(elsewhere)).rejects.toMatchObject({
      kind: "unauthenticated",
      message: expect.stringContaining('"aud" is wrong; it must be "api://ketline"'),
    });
    const foreign = await issuer.sign(grace, { issuer: "https://login.example/other/v2.0" });
    await expect(actorOf(foreign)).rejects.toMatchObject({
      kind: "unauthenticated",
      message: expect.stringContaining('"iss" is wrong'),
    });
  });

  it("is good until it expires, and a minute of disagreement between clocks longer", async () => {
    const token = await issuer.sign({ ...grace, roles: ["Ketline.Viewer"] });
    ground.clock.set(clockMs + 3600_000 + 59_000);
    expect(await actorOf(token)).toMatchObject({ role: "viewer" });
    ground.clock.set(clockMs + 3600_000 + 61_000);
    await expect(actorOf(token)).rejects.toMatchObject({
      kind: "unauthenticated",
      message: "The Entra token has expired.",
    });
  });

  it("that never expires is refused", async () => {
    await expect(actorOf(await issuer.sign(grace, { expires: null }))).rejects.toMatchObject({
      kind: "unauthenticated",
      message: expect.stringContaining('"exp"'),
    });
  });

  it("from the future is refused", async () => {
    const token = await issuer.sign(grace, { issuedAt: new Date(clockMs + 3600_000) });
    await expect(actorOf(token)).rejects.toMatchObject({ kind: "unauthenticated" });
  });

  it.each(["nonsense", "a.b", "a.b.c", "eyJ.eyJ.sig"])("that reads %j is refused", async (token) => {
    await expect(actorOf(token)).rejects.toMatchObject({ kind: "unauthenticated" });
  });

  it("is verified with keys that are fetched once", async () => {
    for (const oid of ["a", "b", "c"]) {
      await actorOf(await issuer.sign({ ...grace, oid, roles: ["Ketline.Viewer"] }));
    }
    expect(issuer.fetches()).toBe(1);
  });

  it("of an unknown key does not make every request fetch the keys again", async () => {
    await actorOf(await issuer.sign({ ...grace, roles: ["Ketline.Viewer"] }));
    for (const oid of ["a", "b", "c"]) {
      const token = await issuer.sign({ ...grace, oid }, { keyId: "key-of-nobody" });
      await expect(actorOf(token)).rejects.toMatchObject({ kind: "unauthenticated" });
    }
    expect(issuer.fetches()).toBe(1);
  });

  it("cannot be judged while the keys cannot be fetched: that is the server's trouble, and not remembered", async () => {
    const token = await issuer.sign({ ...grace, roles: ["Ketline.Viewer"] });
    const identity = started();
    issuer.answer(503, "{}");
    await expect(actorOf(token, identity)).rejects.toMatchObject({ kind: "unavailable" });
    issuer.answer(200, "<html>");
    await expect(actorOf(token, identity)).rejects.toMatchObject({ kind: "unavailable" });
    issuer.answer(200);
    expect(await actorOf(token, identity)).toMatchObject({ role: "viewer" });
  });

  it("signed with a key that was published since is good for an instance that starts now", async () => {
    await issuer.rotate();
    const token = await issuer.sign({ ...grace, roles: ["Ketline.Viewer"] });
    expect(await actorOf(token, started())).toMatchObject({ role: "viewer" });
  });
});
