import type { ArtifactEntry } from "../../../clients/mlflow/index.ts";
import { type Copying, isRefusal } from "./copying.ts";

/** A run or a logged model, on both servers. */
export interface ArtifactOwner {
  /** `run <id>`: what people are told, and the start of the ledger's key. */
  readonly name: string;
  readonly sourceRoot: string;
  readonly targetRoot: string;
}

/**
 * Copies the files that the target does not have yet, streamed from server to server. A file is known by its path and
 * size; MLflow's listings hold no hash and no time.
 */
export async function copyArtifacts(copying: Copying, owner: ArtifactOwner): Promise<void> {
  const { request, source, ledger, tally } = copying;
  if (!request.artifacts || owner.sourceRoot === "") return;
  const known = await ledger.below("artifact", owner.name);
  try {
    for await (const file of source.artifacts.walk(owner.sourceRoot, "", copying)) {
      const key = `${owner.name}/${file.path}`;
      const fingerprint = String(file.sizeBytes ?? "unsaid");
      if (known.get(key)?.fingerprint === fingerprint) {
        tally.count("artifacts", "unchanged");
        continue;
      }
      await copyFile(copying, owner, file);
      await ledger.settle("artifact", key, owner.name, file.path, fingerprint);
      tally.count("artifacts", "copied");
    }
  } catch (error) {
    if (!isRefusal(error)) throw error;
    tally.skip("artifacts", "artifacts", owner.name, error.message);
  }
}

async function copyFile(
  { source, target, signal, tally }: Copying,
  owner: ArtifactOwner,
  file: ArtifactEntry,
): Promise<void> {
  // Stock servers leave a size of 0 out; others may say none at all.
  if (file.sizeBytes === undefined) {
    const { stream, sizeBytes } = await source.artifacts.download(owner.sourceRoot, file.path, { signal });
    const isEmpty = sizeBytes === 0;
    if (isEmpty) await stream.cancel();
    const body = isEmpty ? new Uint8Array(0) : stream;
    await target.artifacts.upload(owner.targetRoot, file.path, body, { signal, sizeBytes });
    tally.bytes(sizeBytes ?? 0);
    return;
  }
  if (file.sizeBytes === 0) {
    await target.artifacts.upload(owner.targetRoot, file.path, new Uint8Array(0), { signal });
    return;
  }
  // A function: where an upload is tried again, the file is fetched again.
  const body = async () => {
    const { stream } = await source.artifacts.download(owner.sourceRoot, file.path, { signal });
    return stream;
  };
  await target.artifacts.upload(owner.targetRoot, file.path, body, { signal, sizeBytes: file.sizeBytes });
  tally.bytes(file.sizeBytes);
}
