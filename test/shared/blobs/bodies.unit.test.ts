import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { guardStream } from "../../../shared/blobs/bodies.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const idleMs = 60_000;
const guard = (source: Readable) => guardStream(source, idleMs, "Azure Blob Storage");

describe("a download that is watched", () => {
  it("passes everything on", async () => {
    const source = Readable.from([Buffer.from("one "), Buffer.from("two")]);
    expect(await new Response(guard(source)).text()).toBe("one two");
  });

  it("fails when its source falls silent, and lets go of the source", async () => {
    const source = new Readable({ read() {} });
    source.push("beginning");
    const reader = guard(source).getReader();
    await reader.read();
    const outcome = expect(reader.read()).rejects.toMatchObject({
      kind: "unavailable",
      message: "Azure Blob Storage sent nothing for 60 s.",
    });
    await vi.advanceTimersByTimeAsync(idleMs);
    await outcome;
    expect(source.destroyed).toBe(true);
  });

  it("waits for a reader who is slow himself", async () => {
    const source = new Readable({ read() {} });
    source.push("one");
    const reader = guard(source).getReader();
    await reader.read();
    await vi.advanceTimersByTimeAsync(10 * idleMs);
    source.push("two");
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("two");
  });

  it("lets go of the source when the reader leaves", async () => {
    const source = new Readable({ read() {} });
    source.push("one");
    const reader = guard(source).getReader();
    await reader.read();
    await reader.cancel();
    expect(source.destroyed).toBe(true);
  });

  it("passes on how its source failed", async () => {
    const source = new Readable({ read() {} });
    const outcome = expect(guard(source).getReader().read()).rejects.toThrow("the line broke");
    source.destroy(new Error("the line broke"));
    await outcome;
  });
});
