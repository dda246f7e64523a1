import type { Store } from "./statement.ts";
import type { UploadRow } from "./tables.ts";

export async function insertUpload({ db }: Store, row: UploadRow): Promise<void> {
  await db.insertInto("tracking_upload").values(row).execute();
}

export function findUpload({ db }: Store, uploadId: string): Promise<UploadRow | undefined> {
  return db.selectFrom("tracking_upload").selectAll().where("upload_id", "=", uploadId).executeTakeFirst();
}

/** @returns whether it was open until now. */
export async function endUpload(
  { db }: Store,
  uploadId: string,
  state: Exclude<UploadRow["state"], "open">,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable("tracking_upload")
    .set({ state })
    .where("upload_id", "=", uploadId)
    .where("state", "=", "open")
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Those whose time ended before, the longest ended first. */
export function selectExpiredUploads({ db }: Store, beforeMs: number, limit: number): Promise<UploadRow[]> {
  return db
    .selectFrom("tracking_upload")
    .selectAll()
    .where("expires_ms", "<", beforeMs)
    .orderBy("expires_ms")
    .limit(limit)
    .execute();
}

export async function deleteUpload({ db }: Store, uploadId: string): Promise<void> {
  await db.deleteFrom("tracking_upload").where("upload_id", "=", uploadId).execute();
}
