import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import { isKetlineError } from "../../shared/errors.ts";
import type { Actor, AuditLog } from "../../shared/identity/index.ts";
import type { Format, ReadOptions } from "./schemas.ts";
import type { DatasetStore } from "./store.ts";
import type { VersionRow } from "./tables.ts";
import { hashOf, sizeOf, storeContent } from "./uploads.ts";

export interface AdmissionOptions {
  readonly store: DatasetStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly maxUploadBytes: number;
}

/** What arrived, and what it is to become. */
export interface Arrival {
  readonly key: string;
  /** The hash, where it is known. */
  readonly version?: string;
  readonly dataset: string;
  readonly format: Format;
  readonly options: ReadOptions;
  readonly actor: Actor;
  /** The job that has it, and is to read the version. */
  readonly jobId?: string;
}

export type Admit = (arrival: Arrival, signal?: AbortSignal) => Promise<VersionRow>;

/**
 * Makes a version of content that has arrived, or gives back the one that has this content. A version that could not be
 * used before is opened for another try.
 *
 * Content is stored under a key that no row ever named, then the row is written, and the arrival goes last: a crash on the
 * way loses nothing, and whoever deletes an earlier version of the same content at that moment deletes other blobs.
 */
export function createAdmission({ store, blobs, clock, audit, maxUploadBytes }: AdmissionOptions): Admit {
  const addVersion = async (arrival: Arrival, version: string, sizeBytes: number, signal?: AbortSignal) => {
    const { dataset, format, options, actor } = arrival;
    const target = { dataset, format, version, maxBytes: maxUploadBytes };
    const blobKey = await storeContent(blobs, arrival.key, target, signal);
    try {
      const fresh = {
        dataset,
        version,
        format,
        options,
        sizeBytes,
        blobKey,
        createdBy: actor.id,
        nowMs: clock(),
      };
      const row = await store.insertVersion(fresh);
      const isOurs = row.blob_key === blobKey || (await store.reopenVersion(row, fresh));
      if (!isOurs) await blobs.delete(blobKey);
      if (row.job_id === null) {
        const after = { version, format, sizeBytes };
        await audit.record({ actor, action: "dataset.version", subject: `dataset/${dataset}`, after });
      }
      return (await store.getVersion(dataset, version)) ?? row;
    } catch (error) {
      // An error of ours was thrown before anything was written. After any other nobody knows: the sweep looks later.
      if (isKetlineError(error, "not_found")) await blobs.delete(blobKey);
      throw error;
    }
  };

  return async (arrival, signal) => {
    const { sizeBytes } = await sizeOf(blobs, arrival.key, maxUploadBytes);
    const version = arrival.version ?? (await hashOf(blobs, arrival.key, signal));
    const known = await store.getVersion(arrival.dataset, version);
    const row =
      known?.state === "pending" || known?.state === "ready"
        ? known
        : await addVersion(arrival, version, sizeBytes, signal);
    // Before the arrival goes: another attempt of the job finds one or the other.
    if (arrival.jobId !== undefined) await store.setJob(row.dataset, row.version, arrival.jobId);
    await blobs.delete(arrival.key);
    return row;
  };
}
