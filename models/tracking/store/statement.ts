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

/** Runs `insert into … values (…), (…) <suffix>` in as few statements as pay. */
export async function insertRows(
  store: Store,
  into: string,
  rows: readonly (readonly (string | number | null)[])[],
  suffix = "",
): Promise<void> {
  const width = rows[0]?.length ?? 0;
  if (width === 0) return;
  const tuple = `(${"?, ".repeat(width - 1)}?)`;
  for (let start = 0; start < rows.length; ) {
    const count = rowsAtOnce(store.dialect, rows.length - start, width);
    const tuples = `${`${tuple}, `.repeat(count - 1)}${tuple}`;
    await run(
      store,
      `insert into ${into} values ${tuples} ${suffix}`,
      rows.slice(start, start + count).flat(),
    );
    start += count;
  }
}

/**
 * SQLite: a power of two, so that few texts serve all numbers of rows and are found prepared; preparing one for a thousand
 * rows takes as long as running it. PostgreSQL: as many as its 65,535 parameters allow, because each statement is a
 * journey.
 */
function rowsAtOnce(dialect: SqlDialect, left: number, width: number): number {
  if (dialect === "postgres") return Math.min(left, Math.floor(60_000 / width));
  return 2 ** Math.min(7, Math.floor(Math.log2(left)));
}
