import { CompiledQuery, type Kysely, type Transaction } from "kysely";
import type { SqlDialect } from "../../../shared/database/index.ts";
import type { TrackingTables } from "./tables.ts";

/** A connection or a transaction, with the dialect that its SQL must be written in. */
export interface Store {
  readonly db: Kysely<TrackingTables> | Transaction<TrackingTables>;
  readonly dialect: SqlDialect;
}

/**
 * Runs SQL written once for both dialects, with `?` for its parameters. For the hot paths: building a thousand rows
 * through a query builder costs more than inserting them.
 */
export async function run<Row>(
  store: Store,
  text: string,
  parameters: readonly (string | number | null)[],
): Promise<readonly Row[]> {
  let count = 0;
  const statement = store.dialect === "sqlite" ? text : text.replace(/\?/g, () => `$${++count}`);
  const { rows } = await store.db.executeQuery(CompiledQuery.raw(statement, [...parameters]));
  return rows as Row[];
}

/** Runs `insert into … values (…), (…) <suffix>` in as few statements as the limits on parameters allow. */
export async function insertRows(
  store: Store,
  into: string,
  rows: readonly (readonly (string | number | null)[])[],
  suffix = "",
): Promise<void> {
  const width = rows[0]?.length ?? 0;
  if (width === 0) return;
  const tuple = `(${"?, ".repeat(width - 1)}?)`;
  // SQLite takes 32,766 parameters in one statement.
  const most = Math.floor(30_000 / width);
  for (let start = 0; start < rows.length; start += most) {
    const chunk = rows.slice(start, start + most);
    const tuples = `${`${tuple}, `.repeat(chunk.length - 1)}${tuple}`;
    await run(store, `insert into ${into} values ${tuples} ${suffix}`, chunk.flat());
  }
}
