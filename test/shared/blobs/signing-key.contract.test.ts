import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadSigningKey } from "../../../shared/blobs/index.ts";

let root: string;
let config: { signingKey: string | undefined; dataDirectory: string };
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
  config = { signingKey: undefined, dataDirectory: path.join(root, "data") };
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe("the signing key", () => {
  it("is the configured one, and nothing is written then", async () => {
    const signingKey = "a key that the operator has chosen";
    expect(await loadSigningKey({ ...config, signingKey })).toBe(signingKey);
    expect(await readdir(root)).toEqual([]);
  });

  it("is drawn once and kept for this user only", async () => {
    const key = await loadSigningKey(config);
    expect(Buffer.from(key, "base64url")).toHaveLength(32);
    expect(await loadSigningKey(config)).toBe(key);
    const file = path.join(config.dataDirectory, "signing-key");
    expect(await readFile(file, "utf8")).toBe(key);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(config.dataDirectory)).toEqual(["signing-key"]);
  });

  it("is the same for all who start at once", async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => loadSigningKey(config)));
    expect(new Set(keys).size).toBe(1);
  });

  it("differs from one data directory to the next", async () => {
    const other = { ...config, dataDirectory: path.join(root, "other") };
    expect(await loadSigningKey(config)).not.toBe(await loadSigningKey(other));
  });

  it("is refused when its file holds too little", async () => {
    await loadSigningKey(config);
    await writeFile(path.join(config.dataDirectory, "signing-key"), "short");
    await expect(loadSigningKey(config)).rejects.toThrow("holds 5 characters");
  });
});
