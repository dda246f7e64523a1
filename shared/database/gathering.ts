import type { SqlDialect } from "./database.ts";

/**
 * How each database gathers rows as JSON, so that a thing and all that belongs to it take one statement: on PostgreSQL one
 * round trip, on SQLite a quarter of the time of several statements where it is one thing. Both write doubles with as
 * many digits as bring them back.
 *
 * ```ts
 * const { all, array } = gathering[dialect];
 * `select t.*, (select ${all}(${array}(key, value) order by key) from tag where owner = t.id) as tags from thing t`
 * ```
 */
export const gathering: Readonly<Record<SqlDialect, Gathering>> = {
  sqlite: { all: "json_group_array", array: "json_array", elements: "json_each(?)" },
  postgres: { all: "json_agg", array: "json_build_array", elements: "json_array_elements_text(?::json)" },
};

interface Gathering {
  /** An aggregate: a JSON list of its argument in all rows. */
  readonly all: string;
  /** A JSON list of its arguments. */
  readonly array: string;
  /** A table with a column `value`, of the elements of a JSON list of texts that is the parameter. */
  readonly elements: string;
}

/** What came of `all`: PostgreSQL's driver has parsed it already, and gives null where there was no row. */
export type Gathered<Element> = string | readonly Element[] | null;

export function gatheredRows<Element>(gathered: Gathered<Element>): readonly Element[] {
  return typeof gathered === "string" ? (JSON.parse(gathered) as Element[]) : (gathered ?? []);
}
