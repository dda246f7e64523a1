import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

/** An empty directory of a test's own. */
export async function temporaryDirectory(): Promise<{ path: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
  return { path: directory, remove: () => rm(directory, { recursive: true, force: true }) };
}
