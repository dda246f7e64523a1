import type { Database } from "../database/index.ts";
import type { Role } from "./actor.ts";

export interface TokenRow {
  id: string;
  name: string;
  role: Role;
  /** Lower-case hexadecimal. The secret has 256 random bits, so a plain hash cannot be guessed from. */
  secret_sha256: string;
  created_by: string;
  created_ms: number;
  expires_ms: number;
  revoked_ms: number | null;
  last_used_ms: number | null;
}

interface Tables {
  access_token: TokenRow;
}

export interface TokenPlace {
  readonly createdMs: number;
  readonly id: string;
}

/** The SQL of the tokens. */
export function createTokenStore(database: Database) {
  const db = database.tables<Tables>();
  return {
    async insert(row: TokenRow): Promise<void> {
      await db.insertInto("access_token").values(row).execute();
    },

    get: (id: string): Promise<TokenRow | undefined> =>
      db.selectFrom("access_token").selectAll().where("id", "=", id).executeTakeFirst(),

    bySecretHash: (hash: string): Promise<TokenRow | undefined> =>
      db.selectFrom("access_token").selectAll().where("secret_sha256", "=", hash).executeTakeFirst(),

    /** Newest first. */
    list(after: TokenPlace | undefined, limit: number): Promise<TokenRow[]> {
      let query = db.selectFrom("access_token").selectAll();
      if (after !== undefined) {
        const { createdMs, id } = after;
        query = query.where((is) =>
          is.or([
            is("created_ms", "<", createdMs),
            is.and([is("created_ms", "=", createdMs), is("id", "<", id)]),
          ]),
        );
      }
      return query.orderBy("created_ms", "desc").orderBy("id", "desc").limit(limit).execute();
    },

    /** @returns undefined when it is not there or was revoked before. */
    revoke: (id: string, nowMs: number): Promise<TokenRow | undefined> =>
      db
        .updateTable("access_token")
        .set({ revoked_ms: nowMs })
        .where("id", "=", id)
        .where("revoked_ms", "is", null)
        .returningAll()
        .executeTakeFirst(),

    /** Writes only if no other instance did so since `beforeMs`. */
    async markUsed(id: string, nowMs: number, beforeMs: number): Promise<void> {
      await db
        .updateTable("access_token")
        .set({ last_used_ms: nowMs })
        .where("id", "=", id)
        .where((is) => is.or([is("last_used_ms", "is", null), is("last_used_ms", "<=", beforeMs)]))
        .execute();
    },
  };
}
