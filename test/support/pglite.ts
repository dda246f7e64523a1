import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { PGlite, types } from "@electric-sql/pglite";

/** bigint as a number, as Ketline's own drivers give it. */
const options = { parsers: { [types.INT8]: Number } };

/** PGlite takes a second to boot, so an instance whose test is over is emptied and used again by the next one. */
const spare: PGlite[] = [];

/** An empty PostgreSQL inside this process. Closing it leaves it, empty, to the next test. */
export async function takePglite(): Promise<PGlite> {
  const pglite = spare.pop() ?? (await boot());
  return new Proxy(pglite, {
    get(target, name) {
      if (name === "close") return () => giveBack(target);
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

async function giveBack(pglite: PGlite): Promise<void> {
  await pglite.exec("drop schema public cascade");
  await pglite.exec("create schema public");
  await pglite.exec("discard all");
  spare.push(pglite);
}

/** The first boot of each version initialises a database cluster (3 s); its image makes the next ones 0.8 s. */
async function boot(): Promise<PGlite> {
  const require = createRequire(import.meta.url);
  const entry = require.resolve("@electric-sql/pglite");
  const { version } = JSON.parse(await readFile(path.join(path.dirname(entry), "../package.json"), "utf8"));
  const directory = fileURLToPath(new URL("../../node_modules/.cache/ketline/", import.meta.url));
  const image = path.join(directory, `pglite-${version}.tar`);
  const cached = await readFile(image).catch(() => undefined);
  if (cached !== undefined) return PGlite.create({ ...options, loadDataDir: new Blob([cached]) });
  const pglite = await PGlite.create(options);
  const dump = await pglite.dumpDataDir("none");
  await mkdir(directory, { recursive: true });
  const temporary = path.join(directory, randomUUID());
  await writeFile(temporary, new Uint8Array(await dump.arrayBuffer()));
  await rename(temporary, image); // several test processes may do this at once
  return pglite;
}
