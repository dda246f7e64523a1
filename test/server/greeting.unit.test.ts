import { describe, expect, it } from "vitest";
import { greeting } from "../../server/greeting.ts";
import { loadConfig } from "../../shared/config.ts";

const url = "http://127.0.0.1:7071";

describe("the greeting", () => {
  it("says where the server listens, where it keeps its data and that only this machine may enter", () => {
    const text = greeting(loadConfig({}), url);
    expect(text).toContain("listens on     http://127.0.0.1:7071\n");
    expect(text).toContain("keeps data     in ./.ketline\n");
    expect(text).toContain("everyone on this machine and nobody else");
  });

  it("names each store where they lie apart, and never a password", () => {
    const text = greeting(
      loadConfig({
        KETLINE_DATABASE: "postgres://ketline:s3cret@db.example/ketline",
        KETLINE_BLOBS: "azure:https://acc.blob.core.windows.net/ketline",
      }),
      url,
    );
    expect(text).toContain(
      "tables in PostgreSQL at db.example/ketline, files in https://acc.blob.core.windows.net/ketline",
    );
    expect(text).not.toContain("s3cret");
  });

  it("names who may enter where an identity is configured", () => {
    const text = greeting(
      loadConfig({
        KETLINE_HOST: "0.0.0.0",
        KETLINE_ADMIN_TOKEN: "an-admin-token-for-the-tests",
        KETLINE_ENTRA_TENANT_ID: "tenant",
        KETLINE_ENTRA_AUDIENCE: "api://ketline",
      }),
      url,
    );
    expect(text).toContain("people and services of Entra (https://login.microsoftonline.com/tenant/v2.0)");
    expect(text).toContain("holders of KETLINE_ADMIN_TOKEN");
    expect(text).not.toContain("an-admin-token");
  });
});
