import { createWriteStream, globSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { ZipFile } from "yazl";

/** The earliest time that a zip can tell: the same files make the same archive. */
const mtime = new Date(1980, 0, 1);
const mode = 0o100644;

/** Packs a directory as a zip archive, every file deflated, in the order of their names. */
export async function zipDirectory(directory: string, archive: string): Promise<{ sizeBytes: number }> {
  await mkdir(path.dirname(archive), { recursive: true });
  const zip = new ZipFile();
  const writing = pipeline(zip.outputStream, createWriteStream(archive));
  for (const file of globSync("**/*", { cwd: directory, exclude: () => false }).sort()) {
    const source = path.join(directory, file);
    if (!(await stat(source)).isFile()) continue;
    zip.addFile(source, file.split(path.sep).join("/"), { mtime, mode, forceDosTimestamp: true });
  }
  zip.end();
  await writing;
  return { sizeBytes: (await stat(archive)).size };
}
