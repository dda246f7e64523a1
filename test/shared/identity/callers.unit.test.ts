import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../shared/config.ts";
import type { Database } from "../../../shared/database/index.ts";
import { easyAuthActor } from "../../../shared/identity/easy-auth.ts";
import { type Actor, allows, createIdentity, roles, systemActor } from "../../../shared/identity/index.ts";
import { loopbackActor } from "../../../shared/identity/loopback.ts";
import { basic, bearer } from "../../support/tokens.ts";

const objectId = "http://schemas.microsoft.com/identity/claims/objectidentifier";
const principal = (claims: [typ: string, val: string][], more: object = {}): Record<string, string> => ({
  "x-ms-client-principal": Buffer.from(
    JSON.stringify({ auth_typ: "aad", claims: claims.map(([typ, val]) => ({ typ, val })), ...more }),
  ).toString("base64"),
});
const grace = principal([
  [objectId, "grace-object-id"],
  ["preferred_username", "grace@example.org"],
  ["roles", "Ketline.Contributor"],
]);

describe("the person at this machine", () => {
  const actor = (headers: Record<string, string>) =>
    loopbackActor(new Request("http://localhost:7071/api/v1/jobs", { headers }));

  it.each([
    "localhost",
    "localhost:7071",
    "LOCALHOST:7071",
    "127.0.0.1:7071",
    "127.8.9.10",
    "[::1]:7071",
    "ketline.localhost",
  ])("is the administrator when the request is for %s", (host) => {
    expect(actor({ host })).toMatchObject({ id: "local", role: "admin", source: "loopback" });
  });

  it.each([
    "evil.example",
    "evil.example:7071",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "192.168.1.7:7071",
    "::1",
    "",
  ])("is nobody when the request is for %j: a name can be pointed at this machine by anybody", (host) => {
    expect(() => actor({ host })).toThrow(expect.objectContaining({ kind: "forbidden" }));
  });

  it("is nobody when a page of another host asks", () => {
    for (const origin of ["https://evil.example", "null", "http://localhost.evil.example"]) {
      expect(() => actor({ host: "localhost:7071", origin })).toThrow(
        expect.objectContaining({ kind: "forbidden", message: expect.stringContaining(origin) }),
      );
    }
    expect(actor({ host: "localhost:7071", origin: "http://localhost:5173" })).toMatchObject({ id: "local" });
  });
});

describe("Easy Auth's principal", () => {
  it("is read with its role", () => {
    expect(easyAuthActor(new Headers(grace))).toEqual({
      id: "grace-object-id",
      name: "grace@example.org",
      role: "contributor",
      source: "easy-auth",
    });
  });

  it("is read under the claim types that it names itself", () => {
    const headers = principal(
      [
        ["sub", "s"],
        ["urn:name", "Grace"],
        ["urn:role", "viewer"],
        ["urn:role", "operator"],
      ],
      { name_typ: "urn:name", role_typ: "urn:role" },
    );
    expect(easyAuthActor(new Headers(headers))).toMatchObject({ id: "s", name: "Grace", role: "operator" });
  });

  it("takes the id and the name from the headers beside it when it has none", () => {
    const headers = {
      ...principal([["roles", "viewer"]]),
      "x-ms-client-principal-id": "beside",
      "x-ms-client-principal-name": "Beside",
    };
    expect(easyAuthActor(new Headers(headers))).toMatchObject({ id: "beside", name: "Beside" });
  });

  it("without a role is forbidden everything", () => {
    expect(() => easyAuthActor(new Headers(principal([[objectId, "x"]])))).toThrow(
      expect.objectContaining({ kind: "forbidden" }),
    );
  });

  it.each([
    "",
    "bm90IGpzb24=",
    Buffer.from("[]").toString("base64"),
    Buffer.from('{"claims":7}').toString("base64"),
  ])("that reads %j is refused", (header) => {
    expect(() => easyAuthActor(new Headers({ "x-ms-client-principal": header }))).toThrow(
      expect.objectContaining({ kind: "unauthenticated" }),
    );
  });
});

describe("who calls", () => {
  /** These need no stored token, and so no database. */
  const database = { tables: () => ({}) } as unknown as Database;
  const authenticate = async (
    env: Record<string, string>,
    headers: Record<string, string>,
  ): Promise<Actor | null> =>
    createIdentity({
      config: loadConfig(env),
      database,
      clock: () => 0,
      audit: { record: async () => {} },
    }).authenticate(new Request("http://localhost:7071/", { headers }));
  const adminToken = "the-token-of-the-administrator";

  it("is never taken from Easy Auth's headers unless Easy Auth stands in front", async () => {
    expect(await authenticate({ KETLINE_ADMIN_TOKEN: adminToken }, grace)).toBeNull();
    expect(await authenticate({}, grace)).toMatchObject({ source: "loopback" });
    expect(await authenticate({ KETLINE_EASY_AUTH: "true" }, grace)).toMatchObject({ source: "easy-auth" });
  });

  it("is nobody behind Easy Auth without its headers", async () => {
    expect(await authenticate({ KETLINE_EASY_AUTH: "true" }, {})).toBeNull();
  });

  it("is the principal even though Easy Auth leaves the Entra token in the request", async () => {
    const headers = { ...grace, ...bearer("eyJ.of.entra") };
    expect(await authenticate({ KETLINE_EASY_AUTH: "true" }, headers)).toMatchObject({ source: "easy-auth" });
  });

  it("is the administrator with the configured token, however it is sent", async () => {
    const env = { KETLINE_ADMIN_TOKEN: adminToken };
    for (const headers of [
      bearer(adminToken),
      basic(adminToken),
      basic(adminToken, ""),
      { authorization: `bearer   ${adminToken}` },
    ]) {
      expect(await authenticate(env, headers)).toMatchObject({ id: "admin-token", role: "admin" });
    }
  });

  it("is refused with a token that only begins like the administrator's", async () => {
    const env = { KETLINE_ADMIN_TOKEN: adminToken };
    for (const wrong of [adminToken.slice(0, -1), `${adminToken}x`, adminToken.toUpperCase()]) {
      await expect(authenticate(env, bearer(wrong))).rejects.toMatchObject({ kind: "unauthenticated" });
    }
  });

  it("does not matter where nothing is configured: stock clients send credentials of their own", async () => {
    for (const headers of [bearer("anything"), basic("anything"), { authorization: "Custom x" }]) {
      expect(await authenticate({}, headers)).toMatchObject({ id: "local" });
    }
  });
});

describe("roles", () => {
  it("include the ones before them", () => {
    const actor = (role: Actor["role"]): Actor => ({ id: "a", name: "A", role, source: "token" });
    for (const [have, mine] of roles.entries()) {
      for (const [need, asked] of roles.entries()) expect(allows(actor(mine), asked)).toBe(have >= need);
    }
    expect(allows(systemActor("jobs-sweep"), "admin")).toBe(true);
  });
});
