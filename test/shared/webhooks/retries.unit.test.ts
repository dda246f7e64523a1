import { describe, expect, it } from "vitest";
import { outcomeOf, pauseMs, triesPerDelivery } from "../../../shared/webhooks/retries.ts";
import { createSecretBox } from "../../../shared/webhooks/secrets.ts";

const nowMs = Date.UTC(2026, 0, 5, 9);
const fresh = { tries: 0, tries_left: triesPerDelivery };
const answered = (status: number, more: { body?: string; retryAfter?: string } = {}) => ({
  kind: "answered" as const,
  status,
  body: more.body ?? "",
  retryAfter: more.retryAfter,
});

describe("the pause before another try", () => {
  it("doubles from ten seconds up to an hour", () => {
    const longest = Array.from({ length: 12 }, (_, index) => pauseMs(index + 1, 1) / 1000);
    expect(longest).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]);
  });

  it("is at least half of that, and the rest is random", () => {
    expect([pauseMs(3, 0), pauseMs(3, 0.5), pauseMs(3, 1)]).toEqual([20_000, 30_000, 40_000]);
  });
});

describe("a delivery", () => {
  it.each([200, 201, 204])("is done when the receiver answers %i", (status) =>
    expect(outcomeOf(answered(status), fresh, nowMs, 0.5)).toEqual({
      state: "delivered",
      responseStatus: status,
    }),
  );

  it.each([429, 500, 502, 503, 504])("is tried again after %i", (status) =>
    expect(outcomeOf(answered(status), fresh, nowMs, 1)).toMatchObject({
      state: "pending",
      responseStatus: status,
      dueMs: nowMs + 10_000,
    }),
  );

  it("is tried again when nobody answered", () =>
    expect(outcomeOf({ kind: "failed", error: "no route" }, fresh, nowMs, 1)).toEqual({
      state: "pending",
      responseStatus: null,
      error: "no route",
      dueMs: nowMs + 10_000,
    }));

  it.each([301, 307, 400, 401, 404, 410, 422])(
    "is given up after %i, which another try would meet again",
    (status) => expect(outcomeOf(answered(status), fresh, nowMs, 0.5)).toMatchObject({ state: "failed" }),
  );

  it("is given up where it may not go", () =>
    expect(outcomeOf({ kind: "refused", error: "inside" }, fresh, nowMs, 0.5)).toMatchObject({
      state: "failed",
      error: "inside",
    }));

  it("is given up after its last try", () =>
    expect(outcomeOf(answered(500), { tries: 11, tries_left: 1 }, nowMs, 0.5)).toMatchObject({
      state: "failed",
    }));

  it.each([
    ["120", 120_000],
    [new Date(nowMs + 60_000).toUTCString(), 60_000],
    ["1", 10_000],
    ["999999", 3600_000],
    ["soon", 10_000],
    [new Date(nowMs - 60_000).toUTCString(), 10_000],
  ])("waits as long as Retry-After: %s asks, within reason", (retryAfter, waitMs) =>
    expect(outcomeOf(answered(503, { retryAfter }), fresh, nowMs, 1)).toMatchObject({
      dueMs: nowMs + waitMs,
    }),
  );

  it("says what the receiver said, briefly", () => {
    const outcome = outcomeOf(answered(400, { body: `no such hook ${"x".repeat(1000)}` }), fresh, nowMs, 0.5);
    expect(outcome).toMatchObject({
      error: expect.stringMatching(/^The receiver answered 400\. It says: no such hook x{280,300}$/),
    });
  });
});

describe("a stored secret", () => {
  const box = createSecretBox("k".repeat(32));

  it("is opened by who has sealed it, and looks different each time", () => {
    const sealed = box.seal("w1", "geheim ✓");
    expect(box.open("w1", sealed)).toBe("geheim ✓");
    expect(sealed).not.toContain("geheim");
    expect(box.seal("w1", "geheim ✓")).not.toBe(sealed);
  });

  it("is opened under no other signing key, for no other webhook and not when it was changed", () => {
    const sealed = box.seal("w1", "geheim");
    const changed = `${sealed.slice(0, -2)}${sealed.endsWith("AA") ? "BB" : "AA"}`;
    expect(() => createSecretBox("o".repeat(32)).open("w1", sealed)).toThrow(/another signing key/);
    for (const [id, text] of [
      ["w2", sealed],
      ["w1", changed],
      ["w1", "v1."],
      ["w1", "geheim"],
    ] as const) {
      expect(() => box.open(id, text)).toThrow(/set the secret again/);
    }
  });
});
