import { describe, expect, it } from "vitest";
import { createBlobLinks, type Permission } from "../../../shared/blobs/index.ts";
import { settableClock } from "../../support/application.ts";

const baseUrl = "https://ketline.example.org";
const clock = settableClock();
const links = createBlobLinks({ signingKey: "k".repeat(32), clock });
const expiresInMs = 60_000;
const reading = () => new URL(links.blobUrl("runs/7/model", { method: "GET", expiresInMs, baseUrl }));
const folder = (permissions: Permission[] = ["r", "l"]) =>
  new URL(links.containerUrl("quantum/job-1", { permissions, expiresInMs, baseUrl }));
const verify = (url: URL, path: string, needed: Permission = "r", of: "blob" | "container" = "blob") =>
  links.verify({ path, query: url.searchParams, of, anyOf: [needed] });

describe("a link to a blob", () => {
  it("names the blob, what it allows and until when, as Azure's shared access signatures do", () => {
    const url = reading();
    expect(url.origin + url.pathname).toBe("https://ketline.example.org/blobs/runs/7/model");
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      sr: "b",
      sp: "r",
      se: "2026-01-05T09:01:00Z",
    });
  });

  it("opens that blob and no other", () => {
    expect(() => verify(reading(), "runs/7/model")).not.toThrow();
    for (const path of ["runs/7/model2", "runs/7", "runs/7/model/x", ""]) {
      expect(() => verify(reading(), path)).toThrow("signature");
    }
  });

  it.each([
    ["sp", "rw"],
    ["se", "2027-01-01T00:00:00Z"],
    ["sr", "c"],
    ["sv", "2020-01-01"],
    ["sig", ""],
    ["sig", "AAAA"],
  ])("is worth nothing with another %s", (name, value) => {
    const url = reading();
    url.searchParams.set(name, value);
    expect(() => verify(url, "runs/7/model")).toThrow("signature");
  });

  it("is worth nothing to a server with another key", () => {
    const other = createBlobLinks({ signingKey: "o".repeat(32), clock });
    const query = reading().searchParams;
    expect(() => other.verify({ path: "runs/7/model", query, of: "blob", anyOf: ["r"] })).toThrow(
      "signature",
    );
  });

  it("ends at its time", () => {
    const moving = settableClock();
    const own = createBlobLinks({ signingKey: "k".repeat(32), clock: moving });
    const query = new URL(own.blobUrl("a", { method: "GET", expiresInMs, baseUrl })).searchParams;
    const use = () => own.verify({ path: "a", query, of: "blob", anyOf: ["r"] });
    moving.advance(59_999);
    expect(use).not.toThrow();
    moving.advance(1);
    expect(use).toThrow("expired at 2026-01-05T09:01:00Z");
  });

  it("allows what it was made for only", () => {
    expect(() => verify(reading(), "runs/7/model", "w")).toThrow('allows "r"');
    const writing = new URL(links.blobUrl("a", { method: "PUT", expiresInMs, baseUrl }));
    expect(() => verify(writing, "a", "w")).not.toThrow();
    expect(() => verify(writing, "a", "r")).toThrow('allows "cw"');
    expect(() => verify(writing, "a", "d")).toThrow('allows "cw"');
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("is not made for %d ms", (ms) => {
    expect(() => links.blobUrl("a", { method: "GET", expiresInMs: ms, baseUrl })).toThrow("expiresInMs");
  });

  it("is not made for a key that no store would take", () => {
    expect(() => links.blobUrl("../secret", { method: "GET", expiresInMs, baseUrl })).toThrow("segment");
  });
});

describe("a link to a container", () => {
  it("opens everything below its prefix", () => {
    for (const path of ["quantum/job-1/inputData", "quantum/job-1/a/b"]) {
      expect(() => verify(folder(), path)).not.toThrow();
    }
    expect(() => verify(folder(), "quantum/job-1", "l", "container")).not.toThrow();
  });

  it.each([
    "quantum/job-12/inputData",
    "quantum/job-2/a",
    "quantum",
    "quantum/other",
    "job-1/a",
    "x/quantum/job-1/a",
  ])("does not open %s", (path) => {
    expect(() => verify(folder(), path)).toThrow("signature");
  });

  it.each(["0", "1", "3", "-1", "1.5", "x", ""])("does not open more with the depth %j", (depth) => {
    const url = folder();
    url.searchParams.set("sdd", depth);
    for (const path of ["quantum/job-2/a", "quantum/a", "quantum", "a"]) {
      expect(() => verify(url, path)).toThrow("signature");
    }
  });

  it("is needed to list one", () => {
    expect(() => verify(reading(), "runs/7/model", "r", "container")).toThrow("for one blob");
  });
});
