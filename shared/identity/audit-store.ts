import type { Transaction } from "kysely";
import type { Database } from "../database/index.ts";
import type { Actor, Role } from "./actor.ts";

export interface AuditRow {
  /** Sorts in the order of recording. */
  id: string;
  at_ms: number;
  actor_id: string;
  actor_name: string;
  actor_role: Role;
  actor_source: Actor["source"];
  action: string;
  subject: string;
  before: string | null;
  after: string | null;
  reason: string | null;
}

interface Tables {
  audit_entry: AuditRow;
}

export interface AuditFilter {
  readonly subject?: string | undefined;
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
}

/** The SQL of the audit log: rows are added and read, never changed, and removed only for their age. */
export function createAuditStore(database: Database) {
  const db = database.tables<Tables>();
  return {
    async insert(row: AuditRow, transaction?: Transaction<unknown>): Promise<void> {
      const handle = (transaction as unknown as Transaction<Tables> | undefined) ?? db;
      await handle.insertInto("audit_entry").values(row).execute();
    },

    /** Newest first; the subject is a prefix. */
    list(filter: AuditFilter, beforeId: string | undefined, limit: number): Promise<AuditRow[]> {
      let query = db.selectFrom("audit_entry").selectAll();
      if (filter.subject !== undefined) {
        query = query.where((is) =>
          is(is.fn("substr", ["subject", is.val(1), is.val(filter.subject?.length)]), "=", filter.subject),
        );
      }
      if (filter.actor !== undefined) query = query.where("actor_id", "=", filter.actor);
      if (filter.action !== undefined) query = query.where("action", "=", filter.action);
      if (beforeId !== undefined) query = query.where("id", "<", beforeId);
      return query.orderBy("id", "desc").limit(limit).execute();
    },

    /** Removes up to `limit` entries from before an id, the oldest first. @returns how many it was. */
    async deleteBefore(id: string, limit: number): Promise<number> {
      const old = db.selectFrom("audit_entry").select("id").where("id", "<", id).orderBy("id").limit(limit);
      const { numDeletedRows } = await db
        .deleteFrom("audit_entry")
        .where("id", "in", old)
        .executeTakeFirstOrThrow();
      return Number(numDeletedRows);
    },
  };
}
