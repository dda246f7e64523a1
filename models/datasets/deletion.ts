import { type BlobStore, deleteBlobs } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import { conflict, notFound } from "../../shared/errors.ts";
import type { Actor, AuditLog } from "../../shared/identity/index.ts";
import type { JobOperations } from "../../shared/jobs/index.ts";
import { removeInPortions } from "../../shared/retention.ts";
import type { Logger } from "../../shared/telemetry/index.ts";
import type { DeletionStore } from "./deletion-store.ts";
import type { DatasetStore } from "./store.ts";
import type { VersionRow } from "./tables.ts";
import { contentRoot } from "./uploads.ts";
import { type Doomed, type FindUses, jobsUnderWay, versionsMadeFrom } from "./uses.ts";

export interface DeletionOptions {
  readonly store: DatasetStore;
  readonly deletions: DeletionStore;
  readonly blobs: BlobStore;
  readonly jobs: Pick<JobOperations, "list">;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly logger: Pick<Logger, "info" | "warn">;
  /** Those above who may need a version. */
  readonly usedBy: readonly FindUses[];
  /** Kinds of jobs that make a version from another one. Their results have the members `dataset`, `version` and `source`. */
  readonly madeBy: readonly string[];
}

export interface DeletedBy {
  readonly actor: Actor;
  readonly reason: string;
}

export interface Deletions {
  /** @throws conflict, with those who use it, when somebody does; notFound when it was deleted just now. */
  deleteVersion(row: VersionRow, by: DeletedBy): Promise<void>;
  /** Likewise, with all versions. */
  deleteDataset(name: string, by: DeletedBy): Promise<void>;
  /** Deletes the blobs of what was deleted, as far as that was not done at once. */
  removeGarbage(): Promise<void>;
  /** Deletes blobs that no row came to name, as whoever stored them was killed. */
  removeOrphans(): Promise<void>;
}

const maxNamed = 10;
/** More is left to the timer, so that nobody waits for the blobs of a thousand versions. */
const deletedAtOnce = 200;
/** What is so young may be named in a moment. */
const orphanAgeMs = 24 * 3600_000;

export function createDeletions(options: DeletionOptions): Deletions {
  const { store, deletions, blobs, jobs, clock, audit, logger, usedBy, madeBy } = options;

  const refuseUsed = async (what: string, doomed: Doomed): Promise<void> => {
    const users: string[] = [];
    const found = [
      jobsUnderWay(jobs, doomed),
      ...usedBy.map((find) => find(doomed)),
      ...madeBy.map((kind) => versionsMadeFrom({ jobs, store, kind }, doomed)),
    ];
    for (const uses of found) {
      for await (const user of uses) {
        if (users.push(user) > maxNamed) break;
      }
      if (users.length > maxNamed) break;
    }
    if (users.length === 0) return;
    const named = users.slice(0, maxNamed);
    const more = users.length > maxNamed ? " and others" : "";
    throw conflict(
      `${what} is used by ${named.join("; ")}${more}. Delete or change those first, or wait for them.`,
      { members: { usedBy: named } },
    );
  };

  const removeSome = async (most: number): Promise<number> => {
    const garbage = await deletions.listGarbage(most);
    await deleteBlobs(blobs, garbage);
    await deletions.forgetGarbage(garbage.map(({ key }) => key));
    return garbage.length;
  };

  /** What was deleted is gone for everybody; if its bytes cannot go now, the timer sees to it. */
  const removeNow = async (): Promise<void> => {
    try {
      await removeSome(deletedAtOnce);
    } catch (error) {
      logger.warn({ err: error }, "blobs of deleted data sets could not be deleted; the timer tries again");
    }
  };

  return {
    async deleteVersion(row, { actor, reason }) {
      const { dataset, version } = row;
      const others = await store.listVersions(dataset, "ready", undefined, 2);
      const isLastReady = row.state === "ready" && others.length === 1;
      await refuseUsed(`Version ${version} of the data set "${dataset}"`, {
        dataset,
        version: { version, jobId: row.job_id, isLastReady },
      });
      const deleted = await deletions.deleteVersion(row, clock());
      if (deleted === undefined)
        throw notFound(`The data set "${dataset}" has no version "${version}" any more.`);
      const { number, size_bytes: sizeBytes, row_count: rows, created_by: createdBy } = deleted;
      await audit.record({
        actor,
        action: "dataset.version.delete",
        subject: `dataset/${dataset}`,
        before: { version, number, sizeBytes, rows, createdBy },
        reason,
      });
      await removeNow();
    },

    async deleteDataset(name, { actor, reason }) {
      const before = await store.getDataset(name);
      if (before === undefined) throw notFound(`There is no data set "${name}".`);
      await refuseUsed(`The data set "${name}"`, { dataset: name });
      const versions = await deletions.deleteDataset(name, clock());
      if (versions === undefined) throw notFound(`There is no data set "${name}" any more.`);
      const { description, created_by: createdBy } = before;
      await audit.record({
        actor,
        action: "dataset.delete",
        subject: `dataset/${name}`,
        before: { description, createdBy, versions },
        reason,
      });
      await removeNow();
    },

    async removeGarbage() {
      const removed = await removeInPortions(removeSome, { clock, most: deletedAtOnce });
      if (removed > 0) logger.info({ blobs: removed }, "blobs of deleted data sets were deleted");
    },

    async removeOrphans() {
      const beforeMs = clock() - orphanAgeMs;
      let cursor: string | undefined;
      do {
        const page = await blobs.list(contentRoot, cursor === undefined ? {} : { cursor });
        const old = page.blobs.filter(({ modifiedMs }) => modifiedMs < beforeMs);
        const orphans = await unnamed(deletions, old);
        const removed = await deleteBlobs(blobs, orphans);
        if (removed.length > 0) {
          logger.info({ blobs: removed.length }, "blobs that no version of a data set names were deleted");
        }
        cursor = page.cursor;
      } while (cursor !== undefined);
    },
  };
}

/** Of blobs of data sets, those that no version names. Their keys say whose they would be: `datasets/<name>/<sha256>.…`. */
async function unnamed<Blob extends { readonly key: string }>(
  deletions: DeletionStore,
  found: readonly Blob[],
): Promise<Blob[]> {
  const orphans: Blob[] = [];
  const datasetOf = ({ key }: Blob) => key.slice(contentRoot.length, key.lastIndexOf("/"));
  const versionOf = ({ key }: Blob) => key.slice(key.lastIndexOf("/") + 1).split(".")[0] ?? "";
  for (const [dataset, blobs] of Map.groupBy(found, datasetOf)) {
    const named = await deletions.namedKeys(dataset, [...new Set(blobs.map(versionOf))]);
    orphans.push(...blobs.filter(({ key }) => !named.has(key)));
  }
  return orphans;
}
