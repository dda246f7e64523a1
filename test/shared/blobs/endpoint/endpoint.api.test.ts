import { randomUUID } from "node:crypto";
import { readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Hono } from "hono";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type BlobLinks,
  type BlobStore,
  createBlobEndpoint,
  createBlobLinks,
  createFileStore,
  type Permission,
} from "../../../../shared/blobs/index.ts";
import type { Capability } from "../../../../shared/capability.ts";
import { createApplication } from "../../../../shared/http/index.ts";
import { type SettableClock, settableClock } from "../../../support/application.ts";

const baseUrl = "http://ketline.test";
let directory: string;
let clock: SettableClock;
let store: BlobStore;
let links: BlobLinks;
let endpoint: Capability;
let app: Hono;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
  clock = settableClock(Date.now());
  const signingKey = randomUUID();
  store = await createFileStore({ directory, signingKey, clock });
  links = createBlobLinks({ signingKey, clock });
  endpoint = createBlobEndpoint({ store, links, clock, maxUploadBytes: 1000 });
  app = createApplication({
    routes: endpoint.routes,
    identity: { authenticate: async () => null },
    logger: pino({ level: "silent" }),
  });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** A link to the container, pointed at one of its blobs. */
function container(permissions: Permission[], blob = "", query: Record<string, string> = {}): string {
  const url = new URL(links.containerUrl("quantum/job-1", { permissions, expiresInMs: 60_000, baseUrl }));
  if (blob !== "") url.pathname += `/${blob}`;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}
const put = (url: string, body: string, headers: Record<string, string> = {}) =>
  app.request(url, { method: "PUT", body, headers });
const textOf = async (key: string) => new Response((await store.get(key))!.stream).text();
const blockId = (text: string) => Buffer.from(text).toString("base64");
const blockList = (...ids: string[]) =>
  `<?xml version="1.0"?><BlockList>${ids.map((id) => `<Latest>${blockId(id)}</Latest>`).join("")}</BlockList>`;

describe("uploading", () => {
  it("answers with the tag and time that a later read shows", async () => {
    const uploaded = await put(container(["c", "w"], "inputData"), "qir", {
      "x-ms-blob-type": "BlockBlob",
      "x-ms-blob-content-type": "qir.v1",
      "content-type": "application/octet-stream",
    });
    expect(uploaded.status).toBe(201);
    const head = await app.request(container(["r"], "inputData"), { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe("");
    expect(Object.fromEntries(head.headers)).toMatchObject({
      "content-length": "3",
      "content-type": "qir.v1",
      "x-ms-blob-type": "BlockBlob",
      etag: uploaded.headers.get("etag"),
      "last-modified": uploaded.headers.get("last-modified"),
    });
  });

  it("may create but not replace with the permission c alone", async () => {
    const url = container(["c"], "inputData");
    expect((await put(url, "one", { "if-none-match": "*" })).status).toBe(201);
    const again = await put(url, "two", { "if-none-match": "*" });
    expect(again.status).toBe(409);
    expect(again.headers.get("x-ms-error-code")).toBe("BlobAlreadyExists");
    expect((await put(url, "two")).status).toBe(403);
    expect(await textOf("quantum/job-1/inputData")).toBe("one");
  });

  it("refuses more than an upload may hold, whole or in blocks", async () => {
    const whole = await put(container(["w"], "big"), "x".repeat(1001));
    expect(whole.status).toBe(413);
    for (const id of ["a", "b"]) {
      const staged = await put(
        container(["w"], "big", { comp: "block", blockid: blockId(id) }),
        "x".repeat(600),
      );
      expect(staged.status).toBe(201);
    }
    expect((await put(container(["w"], "big", { comp: "blocklist" }), blockList("a", "b"))).status).toBe(413);
    expect(await store.stat("quantum/job-1/big")).toBeNull();
  });

  it.each([
    [{ "x-ms-blob-type": "AppendBlob" }, "InvalidBlobType"],
    [{ "if-match": '"0x1"' }, "UnsupportedHeader"],
    [{ "if-none-match": '"0x1"' }, "UnsupportedHeader"],
  ])("refuses %o rather than pass over it", async (headers, code) => {
    const response = await put(container(["w"], "a"), "x", headers as Record<string, string>);
    expect(response.status).toBe(501);
    expect(response.headers.get("x-ms-error-code")).toBe(code);
    expect(await store.stat("quantum/job-1/a")).toBeNull();
  });
});

describe("uploading in blocks", () => {
  const stage = (id: string, body: string, blob = "data") =>
    put(container(["w"], blob, { comp: "block", blockid: blockId(id) }), body);
  const commit = (ids: string[], headers: Record<string, string> = {}, blob = "data") =>
    put(container(["w"], blob, { comp: "blocklist" }), blockList(...ids), headers);

  it("joins them in the order of the list", async () => {
    await stage("one", "1");
    await stage("two", "22");
    await stage("unused", "never");
    expect(await store.stat("quantum/job-1/data")).toBeNull();
    const committed = await commit(["two", "one", "two"], {
      "x-ms-blob-content-type": "text/x-joined",
      "content-type": "application/xml",
    });
    expect(committed.status).toBe(201);
    expect(await textOf("quantum/job-1/data")).toBe("22122");
    expect(await store.stat("quantum/job-1/data")).toMatchObject({ contentType: "text/x-joined" });
  });

  it("leaves nothing of the blocks behind", async () => {
    await stage("one", "1");
    await stage("unused", "never");
    await commit(["one"]);
    expect((await store.list("")).blobs.map((blob) => blob.key)).toEqual(["quantum/job-1/data"]);
  });

  it("makes an empty blob of an empty list", async () => {
    expect((await commit([])).status).toBe(201);
    expect(await textOf("quantum/job-1/data")).toBe("");
  });

  it("keeps the blocks of two blobs apart, and of ids that differ in case only", async () => {
    await stage("i", "lower");
    await stage("I", "upper");
    await stage("i", "other", "data2");
    await commit(["i", "I"]);
    await commit(["i"], {}, "data2");
    expect(await textOf("quantum/job-1/data")).toBe("lowerupper");
    expect(await textOf("quantum/job-1/data2")).toBe("other");
  });

  it("refuses a list with a block that was not uploaded, and keeps the old blob", async () => {
    await store.put("quantum/job-1/data", new TextEncoder().encode("old"));
    await stage("one", "1");
    const response = await commit(["one", "two"]);
    expect(response.status).toBe(400);
    expect(response.headers.get("x-ms-error-code")).toBe("InvalidBlockList");
    expect(await response.text()).toContain(blockId("two"));
    expect(await textOf("quantum/job-1/data")).toBe("old");
  });

  it("does not replace a blob where the upload says so", async () => {
    await store.put("quantum/job-1/data", new TextEncoder().encode("old"));
    await stage("one", "1");
    expect((await commit(["one"], { "if-none-match": "*" })).status).toBe(409);
    expect(await textOf("quantum/job-1/data")).toBe("old");
  });

  it.each(["", "not base64!", "====", Buffer.alloc(65).toString("base64")])(
    "refuses the id %j",
    async (blockid) => {
      const response = await put(container(["w"], "data", { comp: "block", blockid }), "x");
      expect(response.status).toBe(400);
    },
  );

  it("forgets the blocks of an upload that was not finished for a day", async () => {
    const [sweep] = endpoint.timers;
    await stage("one", "1");
    clock.advance(23 * 3_600_000);
    await sweep!.run();
    expect((await store.list("")).blobs).toHaveLength(1);
    clock.advance(2 * 3_600_000);
    await sweep!.run();
    expect((await store.list("")).blobs).toEqual([]);
  });
});

describe("downloading", () => {
  beforeEach(() => store.put("quantum/job-1/digits", new TextEncoder().encode("0123456789")));
  /** Reads it to its end: a body that nobody reads keeps its file open. */
  const get = async (headers: Record<string, string> = {}, blob = "digits") => {
    const response = await app.request(container(["r"], blob), { headers });
    const body = response.body === null ? null : await response.arrayBuffer();
    return new Response(body, response);
  };

  it("answers a range of either header", async () => {
    for (const name of ["range", "x-ms-range"]) {
      const response = await get({ [name]: "bytes=3-" });
      expect(response.status).toBe(206);
      expect(response.headers.get("content-range")).toBe("bytes 3-9/10");
      expect(response.headers.get("content-length")).toBe("7");
      expect(await response.text()).toBe("3456789");
    }
  });

  it("answers with everything to a range that it need not understand", async () => {
    for (const range of ["bytes=-3", "bytes=5-2", "lines=1-2", "bytes=0-1,3-4"]) {
      const response = await get({ range });
      expect(response.status).toBe(200);
      expect(await response.text()).toBe("0123456789");
    }
  });

  it("answers 416 to a range past the end, and to any of an empty blob", async () => {
    await store.put("quantum/job-1/empty", new Uint8Array(0));
    for (const response of [await get({ range: "bytes=10-" }), await get({ range: "bytes=0-9" }, "empty")]) {
      expect(response.status).toBe(416);
      expect(response.headers.get("x-ms-error-code")).toBe("InvalidRange");
    }
  });

  it("holds a reader of parts to one version of the blob", async () => {
    const etag = (await get()).headers.get("etag") ?? "";
    expect((await get({ "if-match": etag, range: "bytes=0-1" })).status).toBe(206);
    expect((await get({ "if-none-match": etag })).status).toBe(304);
    await store.put("quantum/job-1/digits", new TextEncoder().encode("other"));
    expect((await get({ "if-match": etag, range: "bytes=0-1" })).status).toBe(412);
    expect((await get({ "if-none-match": etag })).status).toBe(200);
  });

  it.runIf(process.platform === "linux")("keeps no file open for an answer that has none of it", async () => {
    await store.put("quantum/job-1/empty", new Uint8Array(0));
    expect((await get({ "if-match": '"another"' })).status).toBe(412);
    expect((await get({ "if-none-match": "*" })).status).toBe(304);
    expect((await get({ range: "bytes=10-" })).status).toBe(416);
    expect((await get({ range: "bytes=0-9" }, "empty")).status).toBe(416);
    const open = readdirSync("/proc/self/fd").map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return ""; // that of the listing itself
      }
    });
    expect(open.filter((file) => /job-1~.(digits|empty)/.test(file))).toEqual([]);
  });

  it("lets nothing that was uploaded run as a page of this server", async () => {
    await store.put("quantum/job-1/page.html", new TextEncoder().encode("<script>alert(1)</script>"));
    const response = await get({}, "page.html");
    expect(response.headers.get("content-security-policy")).toContain("sandbox");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  it("tells in XML what is not there", async () => {
    const response = await get({}, "nothing");
    expect(response.status).toBe(404);
    expect(response.headers.get("content-type")).toBe("application/xml");
    expect(await response.text()).toContain("<Code>BlobNotFound</Code>");
  });
});

describe("a container", () => {
  const list = (query: Record<string, string>) =>
    app.request(container(["l"], "", { restype: "container", comp: "list", ...query }));
  const names = (xml: string) => [...xml.matchAll(/<Name>([^<]*)<\/Name>/g)].map((match) => match[1]);

  it("is there as soon as there is a link to it", async () => {
    const response = await app.request(container(["r"], "", { restype: "container" }));
    expect(response.status).toBe(200);
  });

  it("lists its blobs in pages, and nothing beside it", async () => {
    for (const key of ["job-1/a", "job-1/b/c", "job-1/b/d", "job-12/x", "job-2/y"]) {
      await store.put(`quantum/${key}`, new Uint8Array(0));
    }
    const first = await (await list({ maxresults: "2" })).text();
    expect(names(first)).toEqual(["a", "b/c"]);
    const marker = /<NextMarker>([^<]+)</.exec(first)?.[1] ?? "";
    expect(names(await (await list({ maxresults: "2", marker })).text())).toEqual(["b/d"]);
    expect(names(await (await list({ prefix: "b" })).text())).toEqual(["b/c", "b/d"]);
    expect(names(await (await list({ delimiter: "/" })).text())).toEqual(["a", "b/"]);
  });

  it("is not left by a prefix", async () => {
    await store.put("quantum/job-2/y", new Uint8Array(0));
    expect((await list({ prefix: "../job-2/" })).status).toBe(400);
    expect(names(await (await list({ prefix: "job-2" })).text())).toEqual([]);
  });

  it.each([{ maxresults: "0" }, { maxresults: "x" }, { marker: "%%%" }])("refuses %o", async (query) => {
    expect((await list(query as Record<string, string>)).status).toBe(400);
  });

  it("gives up a blob only to a link that allows it", async () => {
    await store.put("quantum/job-1/a", new Uint8Array(0));
    expect((await app.request(container(["r", "w"], "a"), { method: "DELETE" })).status).toBe(403);
    expect((await app.request(container(["d"], "a"), { method: "DELETE" })).status).toBe(202);
    expect((await app.request(container(["d"], "a"), { method: "DELETE" })).status).toBe(404);
  });
});

describe("what is not served", () => {
  it.each([
    ["GET", { comp: "metadata" }],
    ["PUT", { comp: "appendblock" }],
    ["PUT", { restype: "container" }],
    ["DELETE", { restype: "container" }],
  ])("is said so: %s with %o", async (method, query) => {
    const url = container(["r", "w", "d"], "a", query as Record<string, string>);
    const response = await app.request(url, { method });
    expect(response.status).toBe(501);
    expect(await response.text()).toContain("<Code>UnsupportedOperation</Code>");
  });

  it("is anything without a link", async () => {
    await store.put("quantum/job-1/a", new Uint8Array(0));
    for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
      const response = await app.request(`${baseUrl}/blobs/quantum/job-1/a`, { method });
      expect(response.status).toBe(403);
      expect(response.headers.get("x-ms-error-code")).toBe("AuthenticationFailed");
    }
  });
});

describe("a link for one part", () => {
  const partUrl = () =>
    store.parts.signedUrl(
      { key: "runs/7/big", uploadId: "7d1fbd8e-3a0e-4c50-9c58-0a37dbb6ff0a", number: 1 },
      { expiresInMs: 60_000, baseUrl },
    );

  it("stages that part", async () => {
    expect((await put(await partUrl(), "part")).status).toBe(201);
    expect(await store.stat("runs/7/big")).toBeNull();
  });

  it.each([
    ["the operation left out", (url: URL) => url.searchParams.delete("comp")],
    ["another operation", (url: URL) => url.searchParams.set("comp", "blocklist")],
    ["another block", (url: URL) => url.searchParams.set("blockid", blockId("other"))],
    ["no block", (url: URL) => url.searchParams.delete("blockid")],
    ["another resource", (url: URL) => url.searchParams.set("sr", "b")],
    ["another version", (url: URL) => url.searchParams.set("sv", "2")],
  ])("does nothing with %s", async (_, change) => {
    await store.put("runs/7/big", new TextEncoder().encode("whole"));
    const url = new URL(await partUrl());
    change(url);
    expect((await put(url.href, "<BlockList></BlockList>")).status).toBe(403);
    expect((await app.request(url.href)).status).toBeGreaterThanOrEqual(400);
    expect(await textOf("runs/7/big")).toBe("whole");
  });
});
