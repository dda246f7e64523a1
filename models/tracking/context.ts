import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Database } from "../../shared/database/index.ts";
import type { AuditLog } from "../../shared/identity/index.ts";
import type { Store } from "./store/statement.ts";
import type { TrackingTables } from "./store/tables.ts";

/** What everything in tracking works with. */
export interface TrackingContext {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  /** Told of what cannot be read from a run itself: deletions, restorations, renamings. */
  readonly audit: AuditLog;
  readonly maxArtifactBytes: number;
  /** @throws conflict where a registered model version owns what would be written or deleted. */
  readonly refuseFrozen?: RefuseFrozen | undefined;
}

/** Asked before a blob is written, or removed with all below it. The registry knows; its arrow points here. */
export type RefuseFrozen = (key: string, change: "write" | "delete") => Promise<void>;

/** For reading, and for single statements. */
export function storeOf({ database }: Pick<TrackingContext, "database">): Store {
  return { db: database.tables<TrackingTables>(), dialect: database.dialect };
}

/** Runs `work` in one write transaction. */
export function transact<Result>(
  { database }: Pick<TrackingContext, "database">,
  work: (store: Store) => Promise<Result>,
): Promise<Result> {
  return database.transaction<TrackingTables, Result>((db) => work({ db, dialect: database.dialect }));
}
