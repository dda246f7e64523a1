import path from "node:path";
import { type Kysely, sql } from "kysely";
import { checkDisk } from "../../disk-condition.ts";
import type { KetlineError } from "../../errors.ts";

/** Remembers what the last write met. */
export interface SqliteCondition {
  readonly onWrite: (fault: KetlineError | null) => void;
  /** @throws the fault, as long as a write meets it */
  check(database: Kysely<unknown>): Promise<void>;
}

/** @param file a path, or `:memory:` */
export function createSqliteCondition(file: string): SqliteCondition {
  let fault: KetlineError | null = null;
  return {
    onWrite(met) {
      fault = met;
    },
    async check(database) {
      if (fault === null) {
        await sql`select 1 from ketline_migration`.execute(database);
      } else {
        // Perhaps nobody else writes: it would be ill for ever. This writes a page, and changes nothing.
        await sql`pragma user_version = 0`.execute(database);
      }
      if (file !== ":memory:") await checkDisk("The disk of the database", path.dirname(file));
    },
  };
}
