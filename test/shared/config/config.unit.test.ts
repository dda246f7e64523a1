import path from "node:path";
import { describe, expect, it } from "vitest";
import { environmentVariables, identityConfigured, loadConfig } from "../../../shared/config.ts";

const messageOf = (env: Record<string, string>): string => {
  try {
    loadConfig(env);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error(`${JSON.stringify(env)} was taken.`);
};

describe("without any variable the configuration", () => {
  const config = loadConfig({});

  it("keeps everything in one directory and needs no cloud", () => {
    const directory = path.resolve(".ketline");
    expect(config).toMatchObject({
      dataDirectory: directory,
      database: { kind: "sqlite", file: path.join(directory, "ketline.db") },
      blobs: { kind: "file", directory: path.join(directory, "blobs") },
      queues: { kind: "database" },
      quantumWorkspace: { kind: "local" },
    });
  });

  it("keeps predictions and jobs a quarter, deliveries a week, and the audit log for ever", () => {
    expect(config.retention).toEqual({ predictionDays: 90, jobDays: 90, webhookDays: 7, auditDays: null });
  });

  it("listens on loopback only and sends telemetry nowhere", () => {
    expect(config).toMatchObject({ host: "127.0.0.1", port: 7071, telemetry: { exporting: false } });
    expect(identityConfigured(config)).toBe(false);
  });
});

describe("the configuration", () => {
  it("takes an empty variable for none, as shells and App Service write them", () => {
    expect(loadConfig({ KETLINE_DATABASE: "", PORT: "", KETLINE_EASY_AUTH: "" })).toEqual(loadConfig({}));
  });

  it("puts the embedded stores where KETLINE_DATA says", () => {
    expect(loadConfig({ KETLINE_DATA: "/var/lib/ketline" })).toMatchObject({
      database: { file: "/var/lib/ketline/ketline.db" },
      blobs: { directory: "/var/lib/ketline/blobs" },
    });
  });

  it("keeps for ever what is to be kept 0 days, and refuses parts of a day", () => {
    const days = { KETLINE_PREDICTION_RETENTION_DAYS: "0", KETLINE_AUDIT_RETENTION_DAYS: "365" };
    expect(loadConfig(days).retention).toMatchObject({ predictionDays: null, auditDays: 365 });
    for (const wrong of ["1.5", "-1", "never"]) {
      expect(messageOf({ KETLINE_JOB_RETENTION_DAYS: wrong })).toMatch(
        `KETLINE_JOB_RETENTION_DAYS="${wrong}": must be a whole number of days, or 0 to keep for ever`,
      );
    }
  });

  it("reads the stores of Azure", () => {
    expect(
      loadConfig({
        KETLINE_DATABASE: "postgres://ketline@db.postgres.database.azure.com/ketline",
        KETLINE_DATABASE_ENTRA: "true",
        KETLINE_DATABASE_POOL: "3",
        KETLINE_BLOBS: "azure:https://a.blob.core.windows.net/ketline",
        KETLINE_QUEUES: "azure:https://a.queue.core.windows.net",
      }),
    ).toMatchObject({
      database: {
        kind: "postgres",
        url: "postgres://ketline@db.postgres.database.azure.com/ketline",
        entra: true,
        poolSize: 3,
      },
      blobs: { kind: "azure", containerUrl: "https://a.blob.core.windows.net/ketline" },
      queues: { kind: "azure", accountUrl: "https://a.queue.core.windows.net" },
    });
  });

  it("finds Entra's addresses by the tenant, or takes them as given", () => {
    const byTenant = loadConfig({ KETLINE_ENTRA_TENANT_ID: "t-1", KETLINE_ENTRA_AUDIENCE: "api://ketline" });
    expect(byTenant.identity.entra).toEqual({
      issuer: "https://login.microsoftonline.com/t-1/v2.0",
      jwksUrl: "https://login.microsoftonline.com/t-1/discovery/v2.0/keys",
      audience: "api://ketline",
    });
    const given = { issuer: "http://127.0.0.1:1/v2.0", jwksUrl: "http://127.0.0.1:1/keys", audience: "a" };
    expect(
      loadConfig({
        KETLINE_ENTRA_ISSUER: given.issuer,
        KETLINE_ENTRA_JWKS_URL: given.jwksUrl,
        KETLINE_ENTRA_AUDIENCE: given.audience,
      }).identity.entra,
    ).toEqual(given);
  });

  it.each([
    { KETLINE_ENTRA_TENANT_ID: "t-1" },
    { KETLINE_ENTRA_AUDIENCE: "api://ketline" },
    { KETLINE_ENTRA_AUDIENCE: "api://ketline", KETLINE_ENTRA_ISSUER: "https://issuer.example" },
  ])("does not take half of Entra: %j", (env) => {
    expect(messageOf(env as unknown as Record<string, string>)).toContain("KETLINE_ENTRA_AUDIENCE");
  });

  it.each([
    [{ PORT: "http" }, 'PORT="http"'],
    [{ PORT: "65536" }, 'PORT="65536"'],
    [{ KETLINE_BLOBS: "s3://bucket" }, 'KETLINE_BLOBS="s3://bucket": must be "file:<directory>"'],
    [{ KETLINE_QUEUES: "kafka" }, 'KETLINE_QUEUES="kafka"'],
    [{ KETLINE_LOG_LEVEL: "loud" }, 'KETLINE_LOG_LEVEL="loud"'],
    [{ KETLINE_EASY_AUTH: "yes" }, 'KETLINE_EASY_AUTH="yes"'],
    [{ KETLINE_JOB_CONCURRENCY: "0" }, 'KETLINE_JOB_CONCURRENCY="0"'],
    [{ KETLINE_MODEL_MEMORY_MIB: "7" }, 'KETLINE_MODEL_MEMORY_MIB="7"'],
    [{ KETLINE_MODEL_HOSTS: "0" }, 'KETLINE_MODEL_HOSTS="0"'],
    [{ KETLINE_QUANTUM_WORKSPACE: "mine" }, 'KETLINE_QUANTUM_WORKSPACE="mine": must be "local"'],
    [{ KETLINE_PUBLIC_URL: "ftp://x" }, 'KETLINE_PUBLIC_URL="ftp://x"'],
  ])("stops the start with a sentence that names the variable: %j", (env, sentence) => {
    expect(messageOf(env as unknown as Record<string, string>)).toContain(sentence);
  });

  it("names every wrong variable at once", () => {
    expect(messageOf({ PORT: "x", KETLINE_LOG_LEVEL: "loud" })).toMatch(
      /PORT.*KETLINE_LOG_LEVEL|KETLINE_LOG_LEVEL.*PORT/,
    );
  });

  it.each([
    ["KETLINE_ADMIN_TOKEN", "too-short-secret"],
    ["KETLINE_SIGNING_KEY", "too-short-secret"],
    ["KETLINE_DATABASE", "mysql://root:too-short-secret@db"],
  ])("never repeats the value of %s", (name, value) => {
    expect(messageOf({ [name]: value })).toContain(name);
    expect(messageOf({ [name]: value })).not.toContain("too-short-secret");
  });

  it("listens beyond loopback only where callers can say who they are", () => {
    expect(messageOf({ KETLINE_HOST: "0.0.0.0" })).toContain('KETLINE_HOST="0.0.0.0"');
    expect(loadConfig({ KETLINE_HOST: "::1" }).host).toBe("::1");
    for (const identity of [
      { KETLINE_ADMIN_TOKEN: "a-token-of-24-characters-or-more" },
      { KETLINE_EASY_AUTH: "true" },
      { KETLINE_ENTRA_TENANT_ID: "t", KETLINE_ENTRA_AUDIENCE: "a" },
    ]) {
      const config = loadConfig({ KETLINE_HOST: "0.0.0.0", ...identity } as unknown as Record<
        string,
        string
      >);
      expect(identityConfigured(config)).toBe(true);
    }
  });

  it.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318" }, true],
    [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://localhost:4318/v1/metrics" }, true],
    [{ OTEL_TRACES_EXPORTER: "console" }, true],
    [{ OTEL_TRACES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none" }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318", OTEL_SDK_DISABLED: "TRUE" }, false],
    [{ OTEL_SERVICE_NAME: "mine" }, false],
  ])("with %j exports telemetry: %s", (env, exporting) => {
    expect(loadConfig(env as unknown as Record<string, string>).telemetry.exporting).toBe(exporting);
  });

  it.each([
    [{}, true],
    [{ OTEL_TRACES_EXPORTER: "otlp" }, true],
    [{ OTEL_TRACES_EXPORTER: "none" }, false],
  ])("with %j makes traces where it exports: %s", (env, tracing) => {
    expect(loadConfig(env as unknown as Record<string, string>).telemetry.tracing).toBe(tracing);
  });

  it("lists the variables that it reads", () => {
    expect(environmentVariables).toEqual(
      expect.arrayContaining(["KETLINE_DATABASE", "KETLINE_BLOBS", "KETLINE_QUEUES", "PORT"]),
    );
  });
});
