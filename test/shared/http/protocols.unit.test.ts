import { describe, expect, it } from "vitest";
import { type ErrorKind, KetlineError } from "../../../shared/errors.ts";
import { errorReply, type Protocol } from "../../../shared/http/index.ts";

const kinds: ErrorKind[] = [
  "invalid",
  "unauthenticated",
  "forbidden",
  "not_found",
  "conflict",
  "precondition_failed",
  "too_large",
  "unsupported",
  "unavailable",
  "timeout",
];
const protocols: Protocol[] = ["ketline", "mlflow", "inference", "scoring", "quantum"];
const reply = (protocol: Protocol, kind: ErrorKind, details = {}) =>
  errorReply(protocol, new KetlineError(kind, "what was wrong", details), "r1");

describe("errors on the wire", () => {
  it.each(protocols)("of a caller are never a 5xx in the protocol %s", (protocol) => {
    const mistakes = kinds.filter((kind) => !["unsupported", "unavailable", "timeout"].includes(kind));
    for (const kind of mistakes) {
      const { status } = reply(protocol, kind);
      expect([kind, status >= 400 && status < 500]).toEqual([kind, true]);
    }
  });

  it.each(protocols)("carry their message in the protocol %s", (protocol) => {
    for (const kind of kinds) expect(JSON.stringify(reply(protocol, kind).body)).toContain("what was wrong");
  });

  it("of MLflow are its own codes, and none that its client retries for a mistake", () => {
    const retried = [408, 429, 500, 502, 503, 504];
    expect(reply("mlflow", "not_found")).toMatchObject({
      status: 404,
      body: { error_code: "RESOURCE_DOES_NOT_EXIST", message: "what was wrong" },
    });
    expect(reply("mlflow", "conflict")).toMatchObject({
      status: 400,
      body: { error_code: "RESOURCE_ALREADY_EXISTS" },
    });
    expect(reply("mlflow", "invalid", { code: "INVALID_STATE" }).body).toMatchObject({
      error_code: "INVALID_STATE",
    });
    for (const kind of ["invalid", "conflict", "precondition_failed", "too_large", "forbidden"] as const) {
      expect(retried).not.toContain(reply("mlflow", kind).status);
    }
  });

  it("of the inference protocol are one sentence", () => {
    expect(reply("inference", "invalid")).toMatchObject({ status: 400, body: { error: "what was wrong" } });
  });

  it("of MLflow's scoring are a code and a message", () => {
    expect(reply("scoring", "invalid").body).toEqual({
      error_code: "BAD_REQUEST",
      message: "what was wrong",
    });
  });

  it("of the quantum data plane are nested", () => {
    expect(reply("quantum", "not_found")).toMatchObject({
      status: 404,
      body: { error: { code: "ResourceNotFound", message: "what was wrong" } },
    });
  });

  it("ask for a credential where one is missing", () => {
    for (const protocol of protocols) {
      expect(reply(protocol, "unauthenticated").headers["www-authenticate"]).toContain("Basic");
    }
  });

  it.each(protocols)(
    "that are not Ketline's own say no more than their id in the protocol %s",
    (protocol) => {
      const { status, body } = errorReply(protocol, new Error("secret path"), "r1");
      expect(status).toBe(500);
      expect(JSON.stringify(body)).toContain("r1");
      expect(JSON.stringify(body)).not.toContain("secret path");
    },
  );
});
