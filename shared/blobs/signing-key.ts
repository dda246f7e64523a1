import { randomBytes } from "node:crypto";
import { link, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { keepPrivate } from "../private-files.ts";
import { codeOf, openDirectory, openTemporary, syncDirectory } from "./files/durable-files.ts";

/**
 * The key that signs links: the configured one, or a random one that is drawn once and kept, readable by this user
 * only, in the data directory. Instances that share links must share the key.
 */
export async function loadSigningKey(config: {
  readonly signingKey: string | undefined;
  readonly dataDirectory: string;
}): Promise<string> {
  if (config.signingKey !== undefined) return config.signingKey;
  const file = path.join(config.dataDirectory, "signing-key");
  keepPrivate(file);
  return (await read(file)) ?? (await create(file));
}

/** Two processes may start at once: `link` lets one of them win, and both read the winner's key. */
async function create(file: string): Promise<string> {
  const directory = await openDirectory(path.dirname(file));
  const temporary = await openTemporary(directory);
  try {
    try {
      await temporary.handle.writeFile(randomBytes(32).toString("base64url"));
      await temporary.handle.sync();
    } finally {
      await temporary.handle.close();
    }
    await link(temporary.file, file).catch((error: unknown) => {
      if (codeOf(error) !== "EEXIST") throw error;
    });
    await syncDirectory(directory);
  } finally {
    await rm(temporary.file, { force: true });
  }
  const key = await read(file);
  if (key === undefined) throw new Error(`The signing key "${file}" was removed while it was created.`);
  return key;
}

async function read(file: string): Promise<string | undefined> {
  try {
    const key = (await readFile(file, "utf8")).trim();
    if (key.length < 32) {
      throw new Error(`"${file}" holds ${key.length} characters; a signing key has at least 32.`);
    }
    return key;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
