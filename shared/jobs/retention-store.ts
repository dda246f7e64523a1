import { sql } from "kysely";
import type { Database } from "../database/index.ts";
import type { JobState } from "./job.ts";
import type { JobTables } from "./store.ts";

export interface EndedJob {
  readonly id: string;
  readonly kind: string;
  readonly ended_ms: number;
}

const endedStates: readonly JobState[] = ["succeeded", "failed", "cancelled"];

export type JobRetentionStore = ReturnType<typeof createJobRetentionStore>;

/** The SQL of the removal of ended jobs. Each statement looks again whether they are ended, as anybody may retry them. */
export function createJobRetentionStore(database: Database) {
  const db = database.tables<JobTables>();
  return {
    /** Jobs that ended before a time, the oldest first. */
    endedBefore(beforeMs: number, after: EndedJob | undefined, limit: number): Promise<EndedJob[]> {
      let query = db.selectFrom("job").select(["id", "kind", "ended_ms"]).where("ended_ms", "<", beforeMs);
      if (after !== undefined) {
        const { id, ended_ms } = after;
        // The first condition alone says where in the index to begin.
        query = query
          .where("ended_ms", ">=", ended_ms)
          .where((is) => is.or([is("ended_ms", ">", ended_ms), is("id", ">", id)]));
      }
      return query
        .orderBy("ended_ms")
        .orderBy("id")
        .limit(limit)
        .$narrowType<{ ended_ms: number }>()
        .execute();
    },

    /** Removes up to `limit` log lines of these jobs, as far as they ended before a time. @returns how many it was. */
    async deleteLines(ids: readonly string[], beforeMs: number, limit: number): Promise<number> {
      const { numAffectedRows = 0n } = await sql`
        delete from job_log where (job_id, line_number) in (
          select l.job_id, l.line_number from job_log l join job j on j.id = l.job_id
          where j.id in (${sql.join(ids)}) and j.ended_ms < ${beforeMs} limit ${limit})`.execute(db);
      return Number(numAffectedRows);
    },

    /** Removes these jobs, as far as they ended before a time and have no log lines. @returns the ids of those that went. */
    async deleteEnded(ids: readonly string[], beforeMs: number): Promise<string[]> {
      if (ids.length === 0) return [];
      const rows = await db
        .deleteFrom("job")
        .where("id", "in", ids)
        .where("ended_ms", "<", beforeMs)
        .where("state", "in", endedStates)
        .where(({ not, exists, selectFrom }) =>
          not(exists(selectFrom("job_log").select("line_number").whereRef("job_log.job_id", "=", "job.id"))),
        )
        .returning("id")
        .execute();
      return rows.map((row) => row.id);
    },
  };
}
