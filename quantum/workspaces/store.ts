import { type Expression, type ExpressionBuilder, type SqlBool, sql, type Transaction } from "kysely";
import type { Database } from "../../shared/database/index.ts";
import type { Filter, OrderColumn } from "./filters.ts";

/** A job or a session of the local workspace; what is never asked for by a condition is in `document`. */
export interface ItemRow {
  /** `subscription/group/name` in lower case. */
  readonly workspace: string;
  readonly item_type: "Job" | "Session";
  readonly id: string;
  readonly name: string;
  readonly job_type: string;
  readonly provider_id: string;
  readonly target: string;
  readonly state: string;
  readonly session_id: string | null;
  readonly created_ms: number;
  readonly modified_ms: number;
  /** The job of this server that executes it. */
  readonly owner: string | null;
  readonly document: string;
}

interface Tables {
  quantum_workspace_item: ItemRow;
}

export type ItemKey = Pick<ItemRow, "workspace" | "item_type" | "id">;

export interface ItemQuery {
  readonly workspace: string;
  readonly itemType?: ItemRow["item_type"];
  readonly sessionId?: string;
  /** Jobs outside of sessions, and sessions. */
  readonly topLevel?: boolean;
  readonly filter?: Filter;
  readonly order: { readonly column: OrderColumn; readonly descending: boolean };
  readonly skip: number;
  readonly limit: number;
}

export interface ItemStore {
  /** @returns whether it was new. */
  insert(row: ItemRow, transaction?: Transaction<unknown>): Promise<boolean>;
  get(key: ItemKey): Promise<ItemRow | undefined>;
  list(query: ItemQuery): Promise<readonly ItemRow[]>;
  /**
   * Changes an item that is still in one of the states and, where an owner is named, still belongs to it.
   *
   * @returns the item afterwards; undefined when it was not, or no longer, so
   */
  change(
    key: ItemKey,
    when: { readonly states: readonly string[]; readonly owner?: string },
    changes: Partial<Pick<ItemRow, "name" | "state" | "owner" | "document" | "modified_ms">>,
  ): Promise<ItemRow | undefined>;
  /** Jobs of any workspace that are in a state since before a moment, oldest first. */
  unchanged(state: string, beforeMs: number, limit: number): Promise<readonly ItemRow[]>;
  /** @returns whether there was one. */
  remove(key: ItemKey): Promise<boolean>;
}

export function createItemStore(database: Database): ItemStore {
  const tables = database.tables<Tables>();

  return {
    async insert(row, transaction) {
      const handle = (transaction as unknown as Transaction<Tables> | undefined) ?? tables;
      const { numInsertedOrUpdatedRows } = await handle
        .insertInto("quantum_workspace_item")
        .values(row)
        .onConflict((conflict) => conflict.columns(["workspace", "item_type", "id"]).doNothing())
        .executeTakeFirstOrThrow();
      return numInsertedOrUpdatedRows === 1n;
    },

    get: ({ workspace, item_type, id }) =>
      tables
        .selectFrom("quantum_workspace_item")
        .selectAll()
        .where("workspace", "=", workspace)
        .where("item_type", "=", item_type)
        .where("id", "=", id)
        .executeTakeFirst(),

    list(query) {
      let select = tables
        .selectFrom("quantum_workspace_item")
        .selectAll()
        .where("workspace", "=", query.workspace);
      const { itemType, sessionId, filter, order } = query;
      if (itemType !== undefined) select = select.where("item_type", "=", itemType);
      if (sessionId !== undefined) select = select.where("session_id", "=", sessionId);
      if (query.topLevel === true) select = select.where("session_id", "is", null);
      if (filter !== undefined) select = select.where((builder) => conditionOf(filter, builder));
      const direction = order.descending ? "desc" : "asc";
      return select
        .orderBy(order.column, direction)
        .orderBy("created_ms", direction)
        .orderBy("id", direction)
        .limit(query.limit)
        .offset(query.skip)
        .execute();
    },

    change({ workspace, item_type, id }, when, changes) {
      let update = tables
        .updateTable("quantum_workspace_item")
        .set(changes)
        .where("workspace", "=", workspace)
        .where("item_type", "=", item_type)
        .where("id", "=", id)
        .where("state", "in", [...when.states]);
      if (when.owner !== undefined) update = update.where("owner", "=", when.owner);
      return update.returningAll().executeTakeFirst();
    },

    unchanged: (state, beforeMs, limit) =>
      tables
        .selectFrom("quantum_workspace_item")
        .selectAll()
        .where("item_type", "=", "Job")
        .where("state", "=", state)
        .where("modified_ms", "<", beforeMs)
        .orderBy("modified_ms")
        .limit(limit)
        .execute(),

    async remove({ workspace, item_type, id }) {
      const { numDeletedRows } = await tables
        .deleteFrom("quantum_workspace_item")
        .where("workspace", "=", workspace)
        .where("item_type", "=", item_type)
        .where("id", "=", id)
        .executeTakeFirst();
      return numDeletedRows === 1n;
    },
  };
}

type Builder = ExpressionBuilder<Tables, "quantum_workspace_item">;

function conditionOf(filter: Filter, builder: Builder): Expression<SqlBool> {
  switch (filter.kind) {
    case "and":
      return builder.and(filter.all.map((one) => conditionOf(one, builder)));
    case "or":
      return builder.or(filter.all.map((one) => conditionOf(one, builder)));
    case "equals":
      return builder(filter.column, "=", filter.text);
    case "startswith":
      // Not LIKE: its wildcards would have to be escaped, and this says what is meant.
      return builder(
        sql<string>`substr(${sql.ref(filter.column)}, 1, ${[...filter.text].length})`,
        "=",
        filter.text,
      );
    case "created":
      return filter.atLeastMs === undefined
        ? builder("created_ms", "<", filter.belowMs ?? 0)
        : builder("created_ms", ">=", filter.atLeastMs);
  }
}
