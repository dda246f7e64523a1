import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../shared/config.ts";
import { invalid } from "../../../shared/errors.ts";
import { createLogger, type Logger } from "../../../shared/telemetry/index.ts";
import { redactText, redactValue } from "../../../shared/telemetry/redaction.ts";

function logged(write: (logger: Logger) => void, level = "debug"): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLogger(loadConfig({ KETLINE_LOG_LEVEL: level }), { write: (line) => void lines.push(line) }));
  return lines.map((line) => JSON.parse(line));
}

describe("a text without secrets", () => {
  it.each([
    ["authorization: Bearer eyJhbGciOi.eyJzdWIi.c2ln", "c2ln"],
    ["Authorization: Basic YW55Ym9keTpodW50ZXIy", "YW55Ym9keTpodW50ZXIy"],
    ["token ktl_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA given", "3q2-7w"],
    ["PUT https://a.blob.core.windows.net/c/b?sv=2024&sig=abc%2Bdef%3D&se=2026", "abc%2Bdef"],
    ['{"url":"https://x/?sig=abc123def456\\u0026x=1"}', "abc123def456"],
    ["DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Zm9vYmFy+/=;EndpointSuffix=x", "Zm9vYmFy"],
    ["Endpoint=sb://x;SharedAccessKeyName=n;SharedAccessKey=Zm9vYmFy", "Zm9vYmFy"],
    ["SharedAccessSignature sr=https&sig=abc&se=1", "sig=abc"],
    ["postgres://ketline:hunter2@db.example.org:5432/ketline", "hunter2"],
    ["https://f.azurewebsites.net/api/x?code=abcdefgh12345678", "abcdefgh12345678"],
    ["raw eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl here", "c2lnbmF0dXJl"],
    ["-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----", "MIIEvQ"],
  ])("of %j", (text, secret) => {
    expect(redactText(text)).not.toContain(secret);
    expect(redactText(text)).toContain("[redacted]");
  });

  it.each([
    "POST /api/v1/jobs/4e3c/retry 202 in 3.4 ms",
    "https://login.microsoftonline.com/tenant/v2.0",
    "the token has expired; basic statistics of signal=0.3, code=42",
    "postgres://ketline@db.example.org/ketline",
    "2026-01-05T09:00:00Z s3://bucket/key:with:colons@x",
  ])("is left as it is: %j", (text) => {
    expect(redactText(text)).toBe(text);
  });

  it.each(["a", "ey.", "x:", "a://", "eyJ-", "ktl_a ", "Basic ", "authorization ", "-----BEGIN "])(
    "is found in a text that repeats %j to be slow to search",
    (part) => {
      const text = `${part.repeat(2_000_000 / part.length)} ktl_0123456789 `;
      expect(redactText(text)).not.toContain("0123456789");
    },
  );
});

describe("data without secrets", () => {
  it("has none under a name that says so, however it is written and however deep", () => {
    const secret = "correct horse battery staple";
    const names = [
      "password",
      "adminToken",
      "client_secret",
      "Authorization",
      "set-cookie",
      "connectionString",
    ];
    for (const name of [...names, "AccountKey", "x-functions-key", "signing_key", "privateKey"]) {
      expect(JSON.stringify(redactValue({ a: [{ [name]: secret }] }))).not.toContain(secret);
      expect(JSON.stringify(redactValue({ a: [{ [name]: { inner: secret } }] }))).not.toContain(secret);
    }
  });

  it("keeps everything else, and tells nothing apart from absent", () => {
    const value = {
      rows: 3,
      tokens: 12,
      keyColumns: ["a"],
      token: null,
      when: new Date(0),
      deep: { a: [1, null] },
    };
    expect(redactValue(value)).toEqual(value);
  });

  it("has errors as data, each once", () => {
    const cause = Object.assign(new RangeError("too far"), { password: "hunter2", stack: "at a" });
    const error = Object.assign(new Error("no", { cause }), { stack: "at b", details: { cause } });
    expect(redactValue({ error })).toEqual({
      error: {
        type: "Error",
        message: "no",
        stack: "at b",
        cause: { type: "RangeError", message: "too far", stack: "at a", password: "[redacted]" },
        details: {},
      },
    });
  });

  it("ends even when it refers to itself", () => {
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    expect(JSON.stringify(redactValue(loop))).toContain("[too deep]");
  });
});

describe("the log", () => {
  it("is one JSON object a line with its level as a word and the time as people write it", () => {
    const [line] = logged((logger) => logger.info({ jobId: "j" }, "job started"));
    expect(line).toMatchObject({ level: "info", msg: "job started", jobId: "j", service: "ketline" });
    expect(line?.time).toMatch(/^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/);
  });

  it("has only what its level asks for", () => {
    const write = (logger: Logger) => {
      logger.debug("fine");
      logger.warn("mind this");
    };
    expect(logged(write, "warn").map((line) => line.msg)).toEqual(["mind this"]);
    expect(logged(write, "silent")).toEqual([]);
  });

  it("holds no secret wherever it was put: members, messages, children, errors and their causes", () => {
    const token = `ktl_${"s".repeat(43)}`;
    const signed = "https://a.blob.core.windows.net/c/b?sig=sssssssssssssssssss";
    const cause = Object.assign(new Error(`GET ${signed} failed`), {
      request: {
        headers: { authorization: "Bearer sssssssssssssssssss" },
        accountKey: "sssssssssssssssssss",
      },
    });
    const lines = logged((logger) => {
      logger.info({ headers: { authorization: `Bearer ${token}` }, url: signed }, `with ${token}`);
      logger.child({ url: signed, token }).warn("child");
      logger.error({ err: cause }, "failed");
      logger.error({ err: invalid(`bad ${token}`, { cause }) }, "failed");
      logger.error(cause);
    });
    expect(lines).toHaveLength(5);
    expect(JSON.stringify(lines)).not.toContain("sssssssss");
  });

  it("shows an error with its kind of name, its message and where it came from", () => {
    const [line] = logged((logger) => logger.error({ err: new TypeError("no matrix") }, "failed"));
    expect(line?.err).toMatchObject({
      type: "TypeError",
      message: "no matrix",
      stack: expect.stringContaining("logger.unit.test.ts"),
    });
  });
});
