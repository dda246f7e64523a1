import { createHash, randomUUID } from "node:crypto";
import { access, readFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { BlobPage, BlobStore, ListOptions } from "../../../shared/blobs/index.ts";
import { type BlobStoreCase, type BlobWorld, blobStoreCases } from "../../support/blob-stores.ts";

describe.each(blobStoreCases())("$name", blobStoreContract);

function blobStoreContract({ start, open, stop }: BlobStoreCase) {
  let world: BlobWorld;
  let store: BlobStore;
  beforeAll(start);
  afterAll(stop);
  beforeEach(async () => {
    world = await open();
    store = world.store;
  });
  afterEach(() => world.close());

  describe("put and get", () => {
    it("gives back what was stored, with its size, type and hash", async () => {
      const stored = await store.put("models/late/weights.bin", bytes("hello"), {
        contentType: "application/x-weights",
      });
      expect(stored).toEqual({
        key: "models/late/weights.bin",
        sizeBytes: 5,
        sha256: sha256(bytes("hello")),
      });
      const content = await store.get("models/late/weights.bin");
      expect(content?.stat).toMatchObject({
        key: "models/late/weights.bin",
        sizeBytes: 5,
        contentType: "application/x-weights",
      });
      expect(Math.abs((content?.stat.modifiedMs ?? 0) - Date.now())).toBeLessThan(3_600_000);
      expect(await textOf(content?.stream)).toBe("hello");
      expect(await store.stat("models/late/weights.bin")).toEqual(content?.stat);
    });

    it("stores streams of any chunking, past the size of one block, byte for byte", async () => {
      const whole = pattern(20 * 1024 ** 2 + 12_345);
      const stored = await store.put("large", streamOf(cut(whole, [1, 65_537, 8 * 1024 ** 2, 3])));
      expect(stored).toMatchObject({ sizeBytes: whole.byteLength, sha256: sha256(whole) });
      const content = await store.get("large");
      expect(sha256(await bytesOf(content?.stream))).toBe(stored.sha256);
    });

    it("stores a stream that ends at the border of a block", async () => {
      const whole = pattern(8 * 1024 ** 2);
      await store.put("border", streamOf([whole]));
      expect(sha256(await bytesOf((await store.get("border"))?.stream))).toBe(sha256(whole));
    });

    it("stores nothing as an empty blob", async () => {
      expect(await store.put("empty", streamOf([]))).toMatchObject({
        sizeBytes: 0,
        sha256: sha256(bytes("")),
      });
      expect(await textOf((await store.get("empty"))?.stream)).toBe("");
    });

    it("replaces a blob with its type", async () => {
      await store.put("a", bytes("one"), { contentType: "text/x-one" });
      await store.put("a", bytes("two!"), { contentType: "text/x-two" });
      expect(await store.stat("a")).toMatchObject({ sizeBytes: 4, contentType: "text/x-two" });
      await store.put("a", bytes("three"));
      const content = await store.get("a");
      expect(content?.stat.contentType).toBe("application/octet-stream");
      expect(await textOf(content?.stream)).toBe("three");
    });

    it.each([
      ["a/metrics.json", "application/json"],
      ["a/PLOT.PNG", "image/png"],
      ["a/model.onnx", "application/octet-stream"],
      ["a.json/model", "application/octet-stream"],
    ])("takes the type of %s from its extension when none is given", async (key, contentType) => {
      await store.put(key, bytes("x"));
      expect(await store.stat(key)).toMatchObject({ contentType });
    });

    it("knows nothing of a blob that is not there", async () => {
      await store.put("a/b", bytes("x"));
      for (const key of ["nothing", "a", "a/b/c"]) {
        expect(await store.get(key)).toBeNull();
        expect(await store.stat(key)).toBeNull();
      }
    });

    it.each([
      "a b+c%20&=?#é.txt",
      "日本/語/🚀",
      "e\u0301 decomposed",
      "CON/nul.txt/ends with dot.",
      "~tilde~/a~",
      "%2e%2e/%41",
      "trailing space /x",
      "..a/...",
    ])("keeps the key %s as it is", async (key) => {
      await store.put(key, bytes(key));
      expect(await textOf((await store.get(key))?.stream)).toBe(key);
      expect(keysOf(await store.list(""))).toEqual([key]);
    });

    it("keeps apart keys that some file systems confuse", async () => {
      const keys = ["Model", "model", "MODEL", "a", "a/b", "a/B", "\u00e9", "e\u0301", "\u00c9"];
      for (const key of keys) await store.put(key, bytes(`content of ${key}`));
      for (const key of keys) {
        expect(await textOf((await store.get(key))?.stream)).toBe(`content of ${key}`);
      }
      expect(new Set(keysOf(await store.list("")))).toEqual(new Set(keys));
    });

    it.each([
      ["", "is empty"],
      ["/a", "empty segment"],
      ["a/", "empty segment"],
      ["a//b", "empty segment"],
      ["../a", "segment . or .."],
      ["a/../../etc/passwd", "segment . or .."],
      ["a/./b", "segment . or .."],
      ["a\\..\\b", "backslash"],
      ["a\0b", "cannot be stored"],
      ["a\nb", "cannot be stored"],
      ["\ud800", "cannot be stored"],
      ["x".repeat(901), "901 characters"],
      [`a/${"x".repeat(251)}`, "251 bytes"],
    ])("refuses the key %j and says why", async (key, why) => {
      const refusal = { kind: "invalid", message: expect.stringContaining(why) };
      await expect(store.put(key, bytes("x"))).rejects.toMatchObject(refusal);
      await expect(store.get(key)).rejects.toMatchObject(refusal);
      await expect(store.stat(key)).rejects.toMatchObject(refusal);
      await expect(store.delete(key)).rejects.toMatchObject(refusal);
      await expect(store.localFile(key)).rejects.toMatchObject(refusal);
      await expect(store.signedUrl(key, link("GET"))).rejects.toMatchObject(refusal);
    });

    it("takes the longest key and the longest segment", async () => {
      const key = `${"x".repeat(250)}/${"é".repeat(125)}/${"y/".repeat(261)}z`;
      expect(key).toHaveLength(900);
      await store.put(key, bytes("deep"));
      expect(keysOf(await store.list(""))).toEqual([key]);
    });
  });

  describe("ifAbsent", () => {
    it("refuses a key that is taken and leaves it as it was", async () => {
      await store.put("a", bytes("first"), { ifAbsent: true, contentType: "text/x-first" });
      await expect(
        store.put("a", bytes("second"), { ifAbsent: true, contentType: "text/x-second" }),
      ).rejects.toMatchObject({ kind: "conflict", message: expect.stringContaining('"a"') });
      const content = await store.get("a");
      expect(content?.stat.contentType).toBe("text/x-first");
      expect(await textOf(content?.stream)).toBe("first");
    });

    it("lets exactly one of many writers win, whole", async () => {
      const writers = Array.from({ length: 8 }, (_, index) => `writer ${index} `.repeat(1000));
      const outcomes = await Promise.allSettled(
        writers.map((text, index) =>
          store.put("a/b/c", streamOf([bytes(text)]), { ifAbsent: true, contentType: `text/x-${index}` }),
        ),
      );
      const winners = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [index] : []));
      expect(winners).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ kind: "conflict" });
      }
      const content = await store.get("a/b/c");
      expect(await textOf(content?.stream)).toBe(writers[winners[0]!]);
      expect(content?.stat.contentType).toBe(`text/x-${winners[0]}`);
    });
  });

  it("keeps one of two contents that are written at once, with its own type", async () => {
    for (let round = 0; round < 10; round++) {
      const texts = ["one ".repeat(500), "two ".repeat(700)];
      await Promise.all(
        texts.map((text) =>
          store.put("raced", streamOf([bytes(text)]), { contentType: `text/x-${text.slice(0, 3)}` }),
        ),
      );
      const content = await store.get("raced");
      const text = await textOf(content?.stream);
      expect(texts).toContain(text);
      expect(content?.stat.contentType).toBe(`text/x-${text.slice(0, 3)}`);
    }
  });

  describe("a put that fails", () => {
    it.each([
      ["the key is taken", "a", { ifAbsent: true }],
      ["the key is bad", "a//b", {}],
      ["it was aborted before", "b", { signal: AbortSignal.abort(new Error("too late")) }],
    ])("lets go of its source when %s", async (_, key, options) => {
      await store.put("a", bytes("old"));
      const cancelled = Promise.withResolvers<void>();
      const source = new ReadableStream<Uint8Array>({ cancel: () => cancelled.resolve() });
      await expect(store.put(key, source, options)).rejects.toThrow();
      await cancelled.promise;
    });

    it.each([
      ["bytes", () => pattern(1001)],
      ["a stream", () => streamOf([pattern(600), pattern(600)])],
    ])("refuses %s past maxBytes and leaves the old blob", async (_, body) => {
      await store.put("a", bytes("old"));
      await expect(store.put("a", body(), { maxBytes: 1000 })).rejects.toMatchObject({
        kind: "too_large",
        message: expect.stringContaining("1000"),
      });
      expect(await textOf((await store.get("a"))?.stream)).toBe("old");
      await store.put("a", pattern(1000), { maxBytes: 1000 });
    });

    it("passes on the error of its source and stores nothing", async () => {
      const broken = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(pattern(100)),
        pull: (controller) => controller.error(new Error("the line broke")),
      });
      await expect(store.put("a/b", broken)).rejects.toThrow("the line broke");
      expect(await store.list("")).toEqual({ blobs: [], prefixes: [] });
    });

    it("ends at once when it is aborted, even if its source is silent, and stops the source", async () => {
      const stopped = Promise.withResolvers<void>();
      const asked = Promise.withResolvers<void>();
      const silent = new ReadableStream<Uint8Array>(
        {
          start: (c) => c.enqueue(pattern(9 * 1024 ** 2)),
          pull: () => asked.resolve(),
          cancel: () => stopped.resolve(),
        },
        { highWaterMark: 0 },
      );
      const abort = new AbortController();
      const putting = store.put("a", silent, { signal: abort.signal });
      await asked.promise;
      abort.abort(new Error("the caller left"));
      await expect(putting).rejects.toThrow("the caller left");
      await stopped.promise;
      expect(await store.stat("a")).toBeNull();
    });

    it("does not begin when it was aborted before", async () => {
      const signal = AbortSignal.abort(new Error("too late"));
      await expect(store.put("a", bytes("x"), { signal })).rejects.toThrow("too late");
      expect(await store.stat("a")).toBeNull();
    });
  });

  describe("ranges", () => {
    const content = "0123456789";
    it.each([
      [{ offset: 0 }, "0123456789"],
      [{ offset: 2, length: 3 }, "234"],
      [{ offset: 7 }, "789"],
      [{ offset: 8, length: 100 }, "89"],
      [{ offset: 3, length: 0 }, ""],
    ])("reads %o", async (range, expected) => {
      await store.put("digits", bytes(content));
      const part = await store.get("digits", range);
      expect(await textOf(part?.stream)).toBe(expected);
      expect(part?.stat.sizeBytes).toBe(10);
    });

    it.each([{ offset: 10 }, { offset: 11, length: 1 }])("refuses %o of ten bytes", async (range) => {
      await store.put("digits", bytes(content));
      await expect(store.get("digits", range)).rejects.toMatchObject({
        kind: "invalid",
        message: expect.stringMatching(/byte 1\d, but the blob has 10 bytes/),
      });
    });

    it.each([{ offset: -1 }, { offset: 1.5 }, { offset: 0, length: -1 }])("refuses %o", async (range) => {
      await store.put("digits", bytes(content));
      await expect(store.get("digits", range)).rejects.toMatchObject({ kind: "invalid" });
    });

    it("reads the beginning of an empty blob as nothing", async () => {
      await store.put("empty", bytes(""));
      expect(await textOf((await store.get("empty", { offset: 0, length: 5 }))?.stream)).toBe("");
    });

    it("knows nothing of a range of a blob that is not there", async () => {
      expect(await store.get("nothing", { offset: 0, length: 0 })).toBeNull();
      expect(await store.get("nothing", { offset: 5 })).toBeNull();
    });
  });

  describe("a reader", () => {
    it("may leave early", async () => {
      await store.put("large", pattern(3 * 1024 ** 2));
      const reader = (await store.get("large"))!.stream.getReader();
      expect((await reader.read()).value?.byteLength).toBeGreaterThan(0);
      await reader.cancel();
      expect(await store.delete("large")).toBe(true);
    });
  });

  describe("list", () => {
    it("shows each blob as stat does, with the type that it was given", async () => {
      await store.put("runs/a.json", bytes("{}"), { contentType: "text/x-other" });
      await store.put("runs/b.json", bytes("[1]"));
      await store.put("runs/deep/c", bytes("c"), { contentType: "text/x-c" });
      const keys = ["runs/a.json", "runs/b.json", "runs/deep/c"];
      expect((await store.list("runs/")).blobs).toEqual(
        await Promise.all(keys.map((key) => store.stat(key))),
      );
    });

    // In the order of the whole key: "-" and "." come before "/", digits and letters after it.
    const keys = ["a-b/x", "a.b", "a/b", "a/b/c", "a/b/d", "a/bc", "a0/y", "b"];
    const fill = async () => {
      for (const key of keys.toReversed()) await store.put(key, bytes(key));
    };

    it("goes in the order of the keys, whatever the directories are called", async () => {
      await fill();
      const page = await store.list("");
      expect(keysOf(page)).toEqual(keys);
      expect(page.cursor).toBeUndefined();
      expect(page.blobs[2]).toEqual(await store.stat("a/b"));
    });

    it.each([
      ["a", keys.slice(0, 7)],
      ["a/", ["a/b", "a/b/c", "a/b/d", "a/bc"]],
      ["a/b", ["a/b", "a/b/c", "a/b/d", "a/bc"]],
      ["a/b/", ["a/b/c", "a/b/d"]],
      ["a/b/d", ["a/b/d"]],
      ["nothing/", []],
      ["b/", []],
    ])("finds what begins with %s", async (prefix, expected) => {
      await fill();
      expect(keysOf(await store.list(prefix))).toEqual(expected);
    });

    it.each([
      ["", ["a.b", "b"], ["a-b/", "a/", "a0/"]],
      ["a", ["a.b"], ["a-b/", "a/", "a0/"]],
      ["a/", ["a/b", "a/bc"], ["a/b/"]],
      ["a/b", ["a/b", "a/bc"], ["a/b/"]],
    ])("folds what lies below the delimiter after %j", async (prefix, blobs, prefixes) => {
      await fill();
      const page = await store.list(prefix, { delimiter: "/" });
      expect(keysOf(page)).toEqual(blobs);
      expect(page.prefixes).toEqual(prefixes);
    });

    it.each([1, 2, 3, 7, 8, 9])("pages by %i without losing or repeating anything", async (limit) => {
      await fill();
      const flat = await pages("", { limit });
      expect(flat.every((page) => page.blobs.length <= limit)).toBe(true);
      expect(flat.flatMap(keysOf)).toEqual(keys);
      const folded = await pages("a", { limit, delimiter: "/" });
      expect(folded.every((page) => page.blobs.length + page.prefixes.length <= limit)).toBe(true);
      expect(folded.flatMap(keysOf)).toEqual(["a.b"]);
      expect(folded.flatMap((page) => page.prefixes)).toEqual(["a-b/", "a/", "a0/"]);
    });

    it("goes on behind a blob that was deleted since the page before", async () => {
      await fill();
      const first = await store.list("", { limit: 3 });
      await store.delete("a/b");
      await store.delete("a/b/c");
      const rest = await store.list("", { cursor: first.cursor! });
      expect(keysOf(rest)).toEqual(["a/b/d", "a/bc", "a0/y", "b"]);
    });

    it("is empty before anything was stored", async () => {
      expect(await store.list("")).toEqual({ blobs: [], prefixes: [] });
    });

    it.each([0, 5001, 1.5])("refuses the limit %d", async (limit) => {
      await expect(store.list("", { limit })).rejects.toMatchObject({ kind: "invalid" });
    });

    it.each(["../", "/a", "a//", "a\\"])("refuses the prefix %s", async (prefix) => {
      await expect(store.list(prefix)).rejects.toMatchObject({ kind: "invalid" });
    });

    async function pages(prefix: string, options: ListOptions): Promise<BlobPage[]> {
      const all: BlobPage[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.list(prefix, { ...options, ...(cursor === undefined ? {} : { cursor }) });
        all.push(page);
        cursor = page.cursor;
      } while (cursor !== undefined && all.length < 100);
      return all;
    }
  });

  describe("delete", () => {
    it("removes one blob and says whether there was one", async () => {
      await store.put("a/b", bytes("x"), { contentType: "text/x-b" });
      await store.put("a/b/c", bytes("y"));
      expect(await store.delete("a/b")).toBe(true);
      expect(await store.delete("a/b")).toBe(false);
      expect(await store.delete("a")).toBe(false);
      expect(keysOf(await store.list(""))).toEqual(["a/b/c"]);
      await store.put("a/b", bytes("again"));
      expect(await store.stat("a/b")).toMatchObject({ contentType: "application/octet-stream" });
    });

    it("never takes a blob along that is written beside it at the same time", async () => {
      const rounds = Array.from({ length: 40 }, (_, index) => index);
      await Promise.all(
        rounds.map(async (round) => {
          const folder = `deep/${round % 4}/shared`;
          await store.put(`${folder}/gone-${round}`, bytes("x"));
          await Promise.all([
            store.delete(`${folder}/gone-${round}`),
            store.put(`${folder}/stays-${round}`, bytes("y")),
          ]);
        }),
      );
      const left = keysOf(await store.list("deep/"));
      expect(left.toSorted()).toEqual(
        rounds.map((round) => `deep/${round % 4}/shared/stays-${round}`).toSorted(),
      );
    });
  });

  describe("signed links", () => {
    it("let anybody read one blob", async () => {
      await store.put("runs/a b/plot é.json", bytes("{}"));
      const response = await world.request(await store.signedUrl("runs/a b/plot é.json", link("GET")));
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("application/json");
      expect(await response.text()).toBe("{}");
    });

    it("answer a range", async () => {
      await store.put("digits", bytes("0123456789"));
      const url = await store.signedUrl("digits", link("GET"));
      const response = await world.request(url, { headers: { range: "bytes=2-4" } });
      expect(response.status).toBe(206);
      expect(response.headers.get("content-range")).toBe("bytes 2-4/10");
      expect(await response.text()).toBe("234");
    });

    it("let anybody write one blob", async () => {
      const url = await store.signedUrl("uploads/new.csv", link("PUT"));
      const response = await world.request(url, {
        method: "PUT",
        body: "a,b\n1,2\n",
        headers: { "x-ms-blob-type": "BlockBlob", "content-type": "text/csv" },
      });
      expect(response.status).toBe(201);
      const content = await store.get("uploads/new.csv");
      expect(content?.stat.contentType).toBe("text/csv");
      expect(await textOf(content?.stream)).toBe("a,b\n1,2\n");
    });

    it("do not turn reading into writing, or one blob into another", async () => {
      await store.put("a", bytes("x"));
      await store.put("b", bytes("y"));
      const reading = await store.signedUrl("a", link("GET"));
      const put = { method: "PUT", body: "z", headers: { "x-ms-blob-type": "BlockBlob" } };
      expect((await world.request(reading, put)).status).toBe(403);
      expect((await world.request(reading, { method: "DELETE" })).status).toBe(403);
      expect((await world.request(reading.replace("/a?", "/b?"))).status).toBe(403);
      expect((await world.request(reading.replace("sp=r", "sp=rw"), put)).status).toBe(403);
      const writing = await store.signedUrl("a", link("PUT"));
      expect((await world.request(writing)).status).toBe(403);
      expect(await textOf((await store.get("a"))?.stream)).toBe("x");
    });

    it("end at their time", async () => {
      await store.put("a", bytes("x"));
      const url = await store.signedUrl("a", link("GET"));
      await world.advance(50_000);
      const inTime = await world.request(url);
      expect([inTime.status, await inTime.text()]).toEqual([200, "x"]);
      await world.advance(20_000);
      expect((await world.request(url)).status).toBe(403);
    });

    it("answer 404 when the blob is gone", async () => {
      expect((await world.request(await store.signedUrl("gone", link("GET")))).status).toBe(404);
    });
  });

  describe("parts", () => {
    const upload = (key: string) => ({ key, uploadId: randomUUID() });
    const send = async (part: { key: string; uploadId: string; number: number }, body: Uint8Array) => {
      const url = await store.parts.signedUrl(part, {
        expiresInMs: 60_000,
        baseUrl: "http://ketline.test",
      });
      const response = await world.request(url, { method: "PUT", body });
      expect(response.status).toBe(201);
      return { number: part.number, etag: response.headers.get("etag") ?? "" };
    };

    it("become one blob in their order, whatever the order in which they came", async () => {
      const whole = pattern(3_000_000);
      const [first = whole, second = whole, third = whole] = cut(whole, [1_500_000, 1]);
      const one = upload("runs/a b/large.json");
      const parts = [
        await send({ ...one, number: 3 }, third),
        await send({ ...one, number: 1 }, bytes("soon replaced")),
        await send({ ...one, number: 2 }, second),
        await send({ ...one, number: 1 }, first),
      ].toSpliced(1, 1);
      expect(await store.stat(one.key)).toBeNull();
      await store.parts.join(
        one,
        parts.toSorted((a, b) => a.number - b.number),
      );
      const content = await store.get(one.key);
      expect(content?.stat).toMatchObject({ sizeBytes: 3_000_000, contentType: "application/json" });
      expect(sha256(await bytesOf(content?.stream))).toBe(sha256(whole));
    });

    it("can be joined again, as when the answer was lost, and replace what was there", async () => {
      const one = upload("again");
      await store.put("again", bytes("before"));
      const parts = [await send({ ...one, number: 1 }, bytes("after"))];
      await store.parts.join(one, parts, { contentType: "text/x-after" });
      await store.parts.join(one, parts, { contentType: "text/x-after" });
      const content = await store.get("again");
      expect(content?.stat.contentType).toBe("text/x-after");
      expect(await textOf(content?.stream)).toBe("after");
    });

    it("are all needed: a missing one is named, and nothing is stored", async () => {
      const one = upload("missing");
      const parts = [await send({ ...one, number: 1 }, bytes("x")), { number: 2, etag: "" }];
      await expect(store.parts.join(one, parts)).rejects.toMatchObject({
        kind: "invalid",
        message: expect.stringContaining("Part 2"),
      });
      await expect(store.parts.join(upload("never"), [{ number: 1, etag: "" }])).rejects.toMatchObject({
        kind: "invalid",
      });
      expect(await store.stat("missing")).toBeNull();
    });

    it("do not grow past the limit together", async () => {
      const one = upload("limited");
      const parts = [
        await send({ ...one, number: 1 }, bytes("abc")),
        await send({ ...one, number: 2 }, bytes("def")),
      ];
      await expect(store.parts.join(one, parts, { maxBytes: 5 })).rejects.toMatchObject({
        kind: "too_large",
      });
      expect(await store.stat("limited")).toBeNull();
      await store.parts.join(one, parts, { maxBytes: 6 });
      expect(await textOf((await store.get("limited"))?.stream)).toBe("abcdef");
    });

    it("of two uploads of one blob are kept apart", async () => {
      const [one, other] = [upload("shared"), upload("shared")];
      const parts = [await send({ ...one, number: 1 }, bytes("one"))];
      await send({ ...other, number: 1 }, bytes("other"));
      await store.parts.discard(other);
      await store.parts.join(one, parts);
      await store.parts.discard(one);
      await store.parts.discard(one);
      expect(await textOf((await store.get("shared"))?.stream)).toBe("one");
    });

    it("have links that never write the blob itself, before it is joined or after", async () => {
      const one = upload("runs/whole");
      const url = await store.parts.signedUrl(
        { ...one, number: 1 },
        { expiresInMs: 60_000, baseUrl: "http://ketline.test" },
      );
      const bare = new URL(url);
      bare.searchParams.delete("comp");
      bare.searchParams.delete("blockid");
      const overwrite = () =>
        world.request(bare.href, {
          method: "PUT",
          body: "overwritten",
          headers: { "x-ms-blob-type": "BlockBlob" },
        });
      await overwrite();
      expect(await store.stat(one.key)).toBeNull();
      const parts = [await send({ ...one, number: 1 }, bytes("right"))];
      await store.parts.join(one, parts);
      await overwrite();
      expect(await textOf((await store.get(one.key))?.stream)).toBe("right");
      await store.parts.discard(one);
      await overwrite();
      expect(await textOf((await store.get(one.key))?.stream)).toBe("right");
      expect((await store.list("runs/")).blobs.map(({ key }) => key)).toEqual([one.key]);
    });

    it("are taken through their own links alone, until these end", async () => {
      const one = upload("linked");
      const url = await store.parts.signedUrl(
        { ...one, number: 1 },
        { expiresInMs: 60_000, baseUrl: "http://ketline.test" },
      );
      expect((await world.request(url)).status).toBeGreaterThanOrEqual(400);
      const elsewhere = url.replace(/\/[^/?]+\?/, "/other?");
      expect((await world.request(elsewhere, { method: "PUT", body: "x" })).status).toBe(403);
      await world.advance(70_000);
      expect((await world.request(url, { method: "PUT", body: "x" })).status).toBe(403);
    });

    it.each([0, 50_001, 1.5])("have no number %d", async (number) => {
      await expect(
        store.parts.signedUrl({ ...upload("x"), number }, { expiresInMs: 1000, baseUrl: "http://k.test" }),
      ).rejects.toMatchObject({ kind: "invalid" });
    });
  });

  describe("localFile", () => {
    it("is the blob as a file, until it is disposed of", async () => {
      await store.put("data/flights.csv", bytes("a\n1\n"));
      const file = await store.localFile("data/flights.csv");
      expect(await readFile(file.path, "utf8")).toBe("a\n1\n");
      expect(file.path).toMatch(/flights\.csv$/);
      await file[Symbol.asyncDispose]();
      expect(await textOf((await store.get("data/flights.csv"))?.stream)).toBe("a\n1\n");
    });

    it("refuses a blob that is not there, by its name", async () => {
      await expect(store.localFile("nothing")).rejects.toMatchObject({
        kind: "not_found",
        message: expect.stringContaining('"nothing"'),
      });
      await expect(access("nothing")).rejects.toThrow();
    });
  });
}

const link = (method: "GET" | "PUT") => ({ method, expiresInMs: 60_000, baseUrl: "http://ketline.test" });

const bytes = (text: string) => new TextEncoder().encode(text);

const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

const keysOf = (page: BlobPage) => page.blobs.map((blob) => blob.key);

/** Bytes that differ at every place that a wrong cut would move. */
function pattern(length: number): Uint8Array {
  const content = new Uint8Array(length);
  for (let index = 0; index < length; index++) content[index] = (index * 31 + (index >> 8) * 7) & 0xff;
  return content;
}

function cut(whole: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) {
    parts.push(whole.subarray(at, at + size));
    at += size;
  }
  return [...parts, whole.subarray(at)];
}

function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

async function bytesOf(stream: ReadableStream<Uint8Array> | undefined): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream ?? null).arrayBuffer());
}

async function textOf(stream: ReadableStream<Uint8Array> | undefined): Promise<string> {
  return new TextDecoder().decode(await bytesOf(stream));
}
