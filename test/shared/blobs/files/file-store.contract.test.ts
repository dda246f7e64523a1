import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type BlobStore,
  createBlobEndpoint,
  createBlobLinks,
  createFileStore,
} from "../../../../shared/blobs/index.ts";
import { createApplication } from "../../../../shared/http/index.ts";

let directory: string;
let store: BlobStore;
const open = () => createFileStore({ directory, signingKey: "k".repeat(32) });

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
  store = await open();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe("a directory of blobs", () => {
  it("holds each content as a file of its own, with nothing added", async () => {
    await store.put("runs/7/metrics.json", bytes("{}"));
    expect(await readFile(path.join(directory, "data/runs~/7~/metrics.json"), "utf8")).toBe("{}");
  });

  it("is found again as it was left", async () => {
    await store.put("a/b", bytes("x"), { contentType: "text/x-b" });
    const reopened = await open();
    expect(await reopened.stat("a/b")).toEqual(await store.stat("a/b"));
    expect(await reopened.list("")).toEqual(await store.list(""));
  });

  it("is left empty when the last blob is deleted", async () => {
    await store.put("a/b/c", bytes("x"), { contentType: "text/x-c" });
    await store.put("a/b", bytes("y"));
    await store.delete("a/b/c");
    await store.delete("a/b");
    for (const room of ["data", "types", "incoming"]) {
      expect(await readdir(path.join(directory, room))).toEqual([]);
    }
  });

  it("is not readable by other users", async () => {
    await store.put("secret", bytes("x"));
    expect((await stat(path.join(directory, "data/secret"))).mode & 0o077).toBe(0);
  });

  it("keeps no file of a put that failed", async () => {
    await expect(store.put("a", bytes("too long"), { maxBytes: 3 })).rejects.toThrow();
    await store.put("b", bytes("x"), { ifAbsent: true });
    await expect(store.put("b", bytes("x"), { ifAbsent: true })).rejects.toThrow();
    expect(await readdir(path.join(directory, "incoming"))).toEqual([]);
  });
});

describe("the parts of an upload", () => {
  const links = createBlobLinks({ signingKey: "k".repeat(32), clock: Date.now });
  const one = { key: "runs/large", uploadId: "5b0a0e0e-6c3c-4e0c-9b43-3b4a1d7b2f10" };
  const names = async () => (await store.list("")).blobs.map(({ key }) => key);
  const send = async (number: number, body: string) => {
    const endpoint = createBlobEndpoint({ store, links, clock: Date.now, maxUploadBytes: 1000 });
    const app = createApplication({
      routes: endpoint.routes,
      identity: { authenticate: async () => null },
      logger: pino({ level: "silent" }),
    });
    const access = { expiresInMs: 60_000, baseUrl: "http://ketline.test" };
    const url = await store.parts.signedUrl({ ...one, number }, access);
    return app.request(url, { method: "PUT", body });
  };

  it("are told apart by the hash of their content, and refused when it is not the one that was sent", async () => {
    const etag = (await send(1, "first")).headers.get("etag") ?? "";
    expect(etag).toBe(`"${createHash("sha256").update("first").digest("hex")}"`);
    await send(1, "other");
    await expect(store.parts.join(one, [{ number: 1, etag }])).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringContaining("Part 1 has the ETag"),
    });
    expect(await store.stat(one.key)).toBeNull();
    expect(await readdir(path.join(directory, "incoming"))).toEqual([]);
  });

  it("are one at a time no larger than an upload may be", async () => {
    expect((await send(1, "x".repeat(1001))).status).toBe(413);
    expect(await names()).toEqual([]);
  });

  it("leave nothing behind when they are discarded", async () => {
    await send(1, "a");
    await send(2, "b");
    expect(await names()).toHaveLength(2);
    await store.parts.discard(one);
    expect(await readdir(path.join(directory, "data"))).toEqual([]);
  });
});

describe("uploads that a crash cut off", () => {
  it("are swept at the next start, those of a running process are not", async () => {
    const [old, young] = ["old", "young"].map((name) => path.join(directory, "incoming", name));
    await writeFile(old!, "half");
    await writeFile(young!, "half");
    const hoursAgo = new Date(Date.now() - 2 * 3_600_000);
    await utimes(old!, hoursAgo, hoursAgo);
    await open();
    expect(await readdir(path.join(directory, "incoming"))).toEqual(["young"]);
    expect(await store.list("")).toEqual({ blobs: [], prefixes: [] });
  });
});

describe("links and strange files in the tree", () => {
  let outside: string;
  beforeEach(async () => {
    outside = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
    await writeFile(path.join(outside, "secret"), "top secret");
  });
  afterEach(() => rm(outside, { recursive: true, force: true }));

  it("never lead out of it through a directory", async () => {
    await symlink(outside, path.join(directory, "data/evil~"));
    await expect(store.get("evil/secret")).rejects.toMatchObject({ kind: "invalid" });
    await expect(store.stat("evil/secret")).rejects.toMatchObject({ kind: "invalid" });
    await expect(store.localFile("evil/secret")).rejects.toMatchObject({ kind: "invalid" });
    await expect(store.delete("evil/secret")).rejects.toMatchObject({ kind: "invalid" });
    await expect(store.put("evil/new/file", bytes("x"))).rejects.toMatchObject({ kind: "invalid" });
    expect(await store.list("")).toEqual({ blobs: [], prefixes: [] });
    expect(await store.list("evil/")).toEqual({ blobs: [], prefixes: [] });
    expect(await readdir(outside)).toEqual(["secret"]);
  });

  it("never lead out of it through a file", async () => {
    await symlink(path.join(outside, "secret"), path.join(directory, "data/evil"));
    expect(await store.get("evil")).toBeNull();
    expect(await store.stat("evil")).toBeNull();
    expect(await store.list("")).toEqual({ blobs: [], prefixes: [] });
    await store.put("evil", bytes("mine"));
    expect(await readFile(path.join(outside, "secret"), "utf8")).toBe("top secret");
  });

  it("are not taken for blobs", async () => {
    await mkdir(path.join(directory, "data/unmarked"));
    await writeFile(path.join(directory, "data/unmarked/file"), "x");
    for (const name of ["%zz", "%2e%2e", "a%2fb", ".DS_Store"]) {
      await writeFile(path.join(directory, "data", name), "x");
    }
    expect(await store.list("")).toEqual({ blobs: [], prefixes: [] });
  });

  it("leave a directory without blobs out of folded lists", async () => {
    await mkdir(path.join(directory, "data/empty~/deeper~"), { recursive: true });
    expect(await store.list("", { delimiter: "/" })).toEqual({ blobs: [], prefixes: [] });
  });
});

describe("cursors", () => {
  it.each(["%%%", "", "a b"])("refuses %j, which no page handed out", async (cursor) => {
    await expect(store.list("", { cursor })).rejects.toMatchObject({
      kind: "invalid",
      details: { field: "cursor" },
    });
  });
});

describe("a process that is killed while it writes", () => {
  it("loses nothing that it acknowledged and leaves nothing half written", async () => {
    const child = fork(new URL("./file-store.child.ts", import.meta.url), [directory], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const acknowledged = new Set<string>();
    child.on("message", (key) => {
      acknowledged.add(String(key));
      if (acknowledged.size === 60) child.kill("SIGKILL");
    });
    await once(child, "exit");
    expect(acknowledged.size).toBeGreaterThanOrEqual(60);
    const survivor = await open();
    const { blobs } = await survivor.list("");
    expect(blobs.map((blob) => blob.key)).toEqual(expect.arrayContaining([...acknowledged]));
    for (const { key, sizeBytes } of blobs) {
      const content = await survivor.get(key);
      const text = await new Response(content!.stream).text();
      expect(text).toBe(`${key}\n`.repeat(sizeBytes / (key.length + 1)));
      expect(sizeBytes).toBe(2000 * (key.length + 1));
    }
  });
});

const bytes = (text: string) => new TextEncoder().encode(text);
