import type { Transaction } from "kysely";
import type { Database } from "../../shared/database/index.ts";

export type ItemKind = "experiment" | "run" | "logged-model" | "artifact" | "model" | "version" | "alias";

interface TransferTable {
  id: string;
  /** `<direction> <server URL>`: transfers of one scope share what was copied. */
  scope: string;
  /** JSON of the request without its credentials. */
  request: string;
  job_id: string;
  /** Encrypted (see `credentials.ts`); null when there are none, empty once they were deleted. */
  sealed_credentials: string | null;
  report: string | null;
  created_by: string;
  created_ms: number;
}

interface ItemTable {
  scope: string;
  kind: ItemKind;
  source_id: string;
  /** Null while it is being made. */
  target_id: string | null;
  /** The target's id of what it belongs to: forgotten together with it. */
  parent: string;
  /** Of the source's state when all of it had been copied; null before. */
  fingerprint: string | null;
}

interface Tables {
  transfer: TransferTable;
  transfer_item: ItemTable;
}

export type TransferRow = TransferTable;
export type Item = Pick<ItemTable, "target_id" | "fingerprint">;

export interface TransferPosition {
  readonly createdMs: number;
  readonly id: string;
}

export type TransferStore = ReturnType<typeof createTransferStore>;

export function createTransferStore(database: Database) {
  const db = database.tables<Tables>();
  return {
    /** In the transaction that writes its job. */
    async insert(row: TransferRow, transaction: Transaction<unknown>): Promise<void> {
      const trx = transaction as unknown as Transaction<Tables>;
      await trx.insertInto("transfer").values(row).execute();
    },

    get: (id: string) => db.selectFrom("transfer").selectAll().where("id", "=", id).executeTakeFirst(),

    /** Newest first. */
    list(after: TransferPosition | undefined, limit: number): Promise<TransferRow[]> {
      let query = db.selectFrom("transfer").selectAll();
      if (after !== undefined) {
        const { createdMs, id } = after;
        query = query.where(({ or, and, eb }) =>
          or([eb("created_ms", "<", createdMs), and([eb("created_ms", "=", createdMs), eb("id", "<", id)])]),
        );
      }
      return query.orderBy("created_ms", "desc").orderBy("id", "desc").limit(limit).execute();
    },

    /** The newest ones of a scope, which alone can still be under way. */
    newestOf: (scope: string) =>
      db
        .selectFrom("transfer")
        .selectAll()
        .where("scope", "=", scope)
        .orderBy("created_ms", "desc")
        .limit(20)
        .execute(),

    /** How many there ever were of a scope: none is removed. */
    async countOf(scope: string): Promise<number> {
      const { count } = await db
        .selectFrom("transfer")
        .select(({ fn }) => fn.countAll().as("count"))
        .where("scope", "=", scope)
        .executeTakeFirstOrThrow();
      return Number(count);
    },

    withCredentials: () =>
      db.selectFrom("transfer").selectAll().where("sealed_credentials", "!=", "").limit(500).execute(),

    async update(
      id: string,
      change: Partial<Pick<TransferRow, "report" | "sealed_credentials">>,
    ): Promise<void> {
      await db.updateTable("transfer").set(change).where("id", "=", id).execute();
    },

    findItem: (scope: string, kind: ItemKind, sourceId: string): Promise<Item | undefined> =>
      db
        .selectFrom("transfer_item")
        .select(["target_id", "fingerprint"])
        .where("scope", "=", scope)
        .where("kind", "=", kind)
        .where("source_id", "=", sourceId)
        .executeTakeFirst(),

    /** Of one kind below one parent, by their source's ids. */
    async itemsBelow(scope: string, kind: ItemKind, parent: string): Promise<Map<string, Item>> {
      const rows = await db
        .selectFrom("transfer_item")
        .select(["source_id", "target_id", "fingerprint"])
        .where("scope", "=", scope)
        .where("parent", "=", parent)
        .where("kind", "=", kind)
        .execute();
      return new Map(rows.map(({ source_id, ...item }) => [source_id, item]));
    },

    async putItem(
      scope: string,
      kind: ItemKind,
      sourceId: string,
      parent: string,
      item: Item,
    ): Promise<void> {
      await db
        .insertInto("transfer_item")
        .values({ scope, kind, source_id: sourceId, parent, ...item })
        .onConflict((conflict) =>
          conflict.columns(["scope", "kind", "source_id"]).doUpdateSet({ parent, ...item }),
        )
        .execute();
    },

    async deleteItem(scope: string, kind: ItemKind, sourceId: string): Promise<void> {
      await db
        .deleteFrom("transfer_item")
        .where("scope", "=", scope)
        .where("kind", "=", kind)
        .where("source_id", "=", sourceId)
        .execute();
    },
  };
}
