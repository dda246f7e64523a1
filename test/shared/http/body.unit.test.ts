import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  decodeCursor,
  encodeCursor,
  limitBytes,
  page,
  readBytes,
  readJson,
} from "../../../shared/http/index.ts";

const chunked = (...chunks: string[]) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });
const request = (body: BodyLike, headers: Record<string, string> = {}) =>
  new Request("http://localhost/", { method: "POST", body, headers, duplex: "half" } as RequestInit);
type BodyLike = ReadableStream<Uint8Array> | string | null;

describe("a body", () => {
  it("is put together from its chunks", async () => {
    expect(new TextDecoder().decode(await readBytes(request(chunked("ab", "", "cd", "e")), 5))).toBe("abcde");
    expect(await readBytes(request(null), 5)).toEqual(new Uint8Array(0));
    expect(await readJson(request(chunked('{"a"', ":1}")), 100)).toEqual({ a: 1 });
    expect(await readJson(request(null), 100)).toBeUndefined();
  });

  it("is not read beyond its limit", async () => {
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(1000));
      },
    });
    await expect(readBytes(request(endless), 2_500)).rejects.toMatchObject({ kind: "too_large" });
    expect(pulled).toBeLessThan(10);
  });

  it("is not read at all when it declares to be larger", async () => {
    const unread = new ReadableStream<Uint8Array>(
      {
        pull() {
          throw new Error("it was read");
        },
      },
      { highWaterMark: 0 },
    );
    await expect(readBytes(request(unread, { "content-length": "11" }), 10)).rejects.toMatchObject({
      kind: "too_large",
      message: expect.stringContaining("11 bytes"),
    });
  });

  it("fails as a stream once it exceeds its limit, not before", async () => {
    expect(await new Response(limitBytes(chunked("abc", "de"), 5)).text()).toBe("abcde");
    await expect(new Response(limitBytes(chunked("abc", "def"), 5)).text()).rejects.toMatchObject({
      kind: "too_large",
    });
  });
});

describe("a page", () => {
  const Position = z.object({ n: z.number() });
  const cursorOf = (found: number[], limit: number) =>
    page(
      found,
      limit,
      (n) => `#${n}`,
      (n) => ({ n }),
    );

  it("has a cursor only if there is more", () => {
    expect(cursorOf([1, 2], 2)).toEqual({ items: ["#1", "#2"] });
    expect(cursorOf([], 2)).toEqual({ items: [] });
    const { items, nextCursor } = cursorOf([1, 2, 3], 2);
    expect(items).toEqual(["#1", "#2"]);
    expect(decodeCursor(Position, nextCursor)).toEqual({ n: 2 });
  });

  it("starts at the beginning without a cursor", () => {
    expect(decodeCursor(Position, undefined)).toBeUndefined();
  });

  it.each(["x", "", "%%%", encodeCursor({ n: "7" }), encodeCursor(null)])(
    "refuses the cursor %j",
    (cursor) => {
      expect(() => decodeCursor(Position, cursor)).toThrow(
        expect.objectContaining({ kind: "invalid", details: { field: "cursor" } }),
      );
    },
  );
});
