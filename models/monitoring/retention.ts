import type { Logger } from "pino";
import { type BlobStore, deleteBlobs } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import { isKetlineError } from "../../shared/errors.ts";
import { removeInPortions, roundEnd } from "../../shared/retention.ts";
import type { Datasets } from "../datasets/index.ts";
import { captureRoot, hourOf, hourPath, hoursRoot } from "./capture/captured.ts";
import { foldersUnder } from "./capture/windows.ts";
import { referencesRoot } from "./drift/references.ts";
import type { LabelStore } from "./labels/store.ts";

export interface MonitoringRetentionOptions {
  readonly blobs: BlobStore;
  readonly labels: LabelStore;
  readonly datasets: Pick<Datasets, "getVersion">;
  readonly clock: Clock;
  readonly logger: Pick<Logger, "info">;
}

/**
 * Removes the predictions of the full hours before a time, with the profiles of those hours and what was observed of the
 * predictions later. No row names them: each blob says by its key when it may go, so that a round that was cut short, or
 * that two instances make at once, leaves nothing behind that the next one would not find. Results stay.
 *
 * @returns how many blobs and labels went
 */
export async function removePredictions(
  { blobs, labels, clock, logger }: MonitoringRetentionOptions,
  beforeMs: number,
): Promise<{ readonly blobs: number; readonly bytes: number; readonly labels: number }> {
  const isOver = roundEnd(clock);
  const removed = { blobs: 0, bytes: 0, labels: 0 };
  for (const root of [captureRoot, hoursRoot]) {
    for await (const folder of foldersBefore(blobs, root, hourOf(beforeMs))) {
      for await (const gone of emptied(blobs, folder, isOver)) {
        removed.blobs += gone.length;
        removed.bytes += gone.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      }
      if (isOver()) break;
    }
  }
  if (!isOver()) {
    removed.labels = await removeInPortions((most) => labels.deleteBefore(hourOf(beforeMs), most), { clock });
  }
  if (removed.blobs + removed.labels > 0) {
    logger.info({ ...removed, madeBeforeMs: hourOf(beforeMs) }, "old captured predictions were removed");
  }
  return removed;
}

/** Removes the kept profiles of dataset versions that are no more. They hold values of the data. */
export async function removeReferences({
  blobs,
  datasets,
  clock,
  logger,
}: MonitoringRetentionOptions): Promise<void> {
  const isOver = roundEnd(clock);
  for (const dataset of await foldersUnder(blobs, referencesRoot)) {
    for (const folder of await foldersUnder(blobs, dataset)) {
      const [name = "", version = ""] = folder.slice(referencesRoot.length).split("/");
      if (isOver()) return;
      if (await exists(datasets, name, version)) continue;
      for await (const gone of emptied(blobs, folder, isOver)) {
        logger.info(
          { dataset: name, version, blobs: gone.length },
          "profiles of a deleted version were removed",
        );
      }
    }
  }
}

/** Days and hours before a full hour, of all that was captured below a root: `deployment=…/model=…/version=…/dt=…/hh=…/`. */
async function* foldersBefore(blobs: BlobStore, root: string, beforeMs: number): AsyncGenerator<string> {
  const [lastDay = "", lastHour = ""] = hourPath(beforeMs).split("/");
  for (const target of await foldersUnder(blobs, root)) {
    for (const model of await foldersUnder(blobs, target)) {
      for (const version of await foldersUnder(blobs, model)) {
        for (const day of await foldersUnder(blobs, version)) {
          const name = day.slice(version.length, -1);
          if (name < lastDay) yield day;
          if (name !== lastDay) continue;
          for (const hour of await foldersUnder(blobs, day)) {
            if (hour.slice(day.length, -1) < lastHour) yield hour;
          }
        }
      }
    }
  }
}

/** Deletes what lies below a prefix, page by page. */
async function* emptied(blobs: BlobStore, prefix: string, isOver: () => boolean) {
  let cursor: string | undefined;
  do {
    const page = await blobs.list(prefix, cursor === undefined ? {} : { cursor });
    yield await deleteBlobs(blobs, page.blobs);
    cursor = page.cursor;
  } while (cursor !== undefined && !isOver());
}

async function exists(datasets: Pick<Datasets, "getVersion">, dataset: string, version: string) {
  try {
    await datasets.getVersion(dataset, version);
    return true;
  } catch (error) {
    if (isKetlineError(error, "not_found")) return false;
    throw error;
  }
}
