import { type QueryExecutorProvider, type RawBuilder, sql } from "kysely";
import { jsonSize, maxAnswerBytes } from "../../answer-size.ts";
import type { SqlDialect } from "../../database/index.ts";
import { limits } from "../bounds.ts";
import { type KeyKind, type KeyPart, pageToken, readPageToken } from "../page-token.ts";
import type { DatasetRef, OrderItem } from "./order.ts";
import type { Comparison, MapTable, SearchTarget } from "./target.ts";

export interface Search {
  readonly target: SearchTarget;
  readonly dialect: SqlDialect;
  /** Conditions beside the filter, over the target's own alias. */
  readonly where: readonly RawBuilder<unknown>[];
  readonly comparisons: readonly Comparison[];
  /** Further narrows what metric comparisons look at, over the alias `m`. */
  readonly metricCondition?: RawBuilder<unknown>;
  readonly order: readonly OrderItem[];
  readonly limit: number;
  readonly pageToken: string | undefined;
  /** Tokens are good for a search of this name alone; without one, for any search in the same order. */
  readonly searchName?: string;
}

export interface SearchPage {
  /** In order. */
  readonly ids: readonly KeyPart[];
  readonly nextPageToken?: string;
  /** For the next page when this one ends early, after so many ids. */
  tokenAfter(count: number): string;
}

/** Rows are loaded a few at first, to see how large they are, and then as many as that allows. */
const firstPortion = 25;
const largestPortion = 1000;

/**
 * Loads what a page found, in portions, and ends the page early where its answer becomes too large.
 *
 * @param load gives the rows of ids, in their order, and may leave out what is gone by now
 */
export async function loadPage<Row>(
  { ids, nextPageToken, tokenAfter }: SearchPage,
  load: (ids: readonly KeyPart[]) => Promise<readonly Row[]>,
): Promise<{ readonly rows: readonly Row[]; readonly nextPageToken?: string }> {
  const rows: Row[] = [];
  let size = 0;
  for (let start = 0, count = firstPortion; start < ids.length; ) {
    const portion = await load(ids.slice(start, start + count));
    start += count;
    for (const row of portion) size += jsonSize(row);
    rows.push(...portion);
    if (start >= ids.length) break;
    if (size > maxAnswerBytes) return { rows, nextPageToken: tokenAfter(start) };
    const bearable = Math.floor(((maxAnswerBytes - size) * start) / Math.max(size, 1));
    count = Math.min(largestPortion, Math.max(1, bearable));
  }
  return nextPageToken === undefined ? { rows } : { rows, nextPageToken };
}

/**
 * One page of what a filter finds, in an order, by the sort key of the last row of the page before: inserts between two
 * pages neither repeat nor hide a row, as an offset would.
 *
 * @throws invalid for a page token of another order.
 */
export async function searchIds(db: QueryExecutorProvider, search: Search): Promise<SearchPage> {
  const { target, dialect } = search;
  const joins: RawBuilder<unknown>[] = [];
  const keys = sortKeys(search, joins);
  const after = readPageToken(
    search.pageToken,
    keys.map(({ kind }) => kind),
    search.searchName,
  );
  const conditions = [
    ...search.where,
    ...search.comparisons.map((comparison) => condition(comparison, search)),
  ];
  const columns = keys.map(({ expression }, index) => sql`${expression} as ${sql.ref(`k${index}`)}`);
  const order = keys.map(({ descending }, index) =>
    descending ? sql`${sql.ref(`k${index}`)} desc` : sql.ref(`k${index}`),
  );
  const query = sql<Record<string, KeyPart>>`
    select * from (
      select ${sql.join(columns)} from ${sql.raw(target.from)} ${sql.join(joins, sql` `)}
      where ${conditions.length === 0 ? sql`1 = 1` : sql.join(conditions, sql` and `)}
    ) as found
    ${after === undefined ? sql`` : sql`where ${isAfter(keys, after, dialect)}`}
    order by ${sql.join(order)} limit ${search.limit + 1}`;
  const { rows } = await query.execute(db);
  const page = rows.slice(0, search.limit);
  const partsOf = (row: Record<string, KeyPart>) => keys.map((_, index) => row[`k${index}`] ?? "");
  const ids = page.map((row) => partsOf(row).at(-1) ?? "");
  const last = page.at(-1);
  const tokenAfter = (count: number) => pageToken(partsOf(page[count - 1] ?? {}), search.searchName);
  return rows.length > search.limit && last !== undefined
    ? { ids, tokenAfter, nextPageToken: pageToken(partsOf(last), search.searchName) }
    : { ids, tokenAfter };
}

/** `column in (…)` with one parameter however many values there are, so that the statement stays the same. */
export function isAnyOf(
  dialect: SqlDialect,
  column: RawBuilder<unknown>,
  values: readonly KeyPart[],
  type: "text" | "bigint" = "text",
): RawBuilder<boolean> {
  const json = JSON.stringify(values);
  return dialect === "sqlite"
    ? sql`${column} in (select value from json_each(${json}))`
    : sql`${column} in (select value::${sql.raw(type)} from json_array_elements_text(${json}::json))`;
}

interface SortKey {
  readonly expression: RawBuilder<unknown>;
  readonly kind: KeyKind;
  readonly descending: boolean;
}

/** Ends with the id, so that the order is total. Numbers come first, then NaN, then what has no value: both ways. */
function sortKeys(search: Search, joins: RawBuilder<unknown>[]): SortKey[] {
  const { target, dialect } = search;
  const keys: SortKey[] = [];
  const bytewise = dialect === "postgres" ? sql` collate "C"` : sql``;
  for (const [index, item] of search.order.entries()) {
    const descending = !item.ascending;
    if (item.entity === "attribute") {
      const { kind, isNullable } = item.attribute;
      const column = sql.raw(item.attribute.sql);
      if (isNullable === true) {
        keys.push({
          expression: sql`case when ${column} is null then 1 else 0 end`,
          kind: "integer",
          descending: false,
        });
      }
      const filled =
        isNullable !== true
          ? column
          : kind === "text"
            ? sql`coalesce(${column}, '')`
            : sql`coalesce(${column}, 0)`;
      keys.push({ expression: kind === "text" ? sql`${filled}${bytewise}` : filled, kind, descending });
      continue;
    }
    const map = target.maps[item.entity];
    if (map === undefined) continue;
    const alias = `o${index}`;
    joins.push(orderJoin(map, alias, item));
    const value = sql.ref(`${alias}.value`);
    if (item.entity === "metric") {
      const isNan = sql.ref(`${alias}.is_nan`);
      keys.push(
        {
          expression: sql`case when ${value} is null then 2 when ${isNan} = 1 then 1 else 0 end`,
          kind: "integer",
          descending: false,
        },
        { expression: sql`coalesce(${value}, 0.0)`, kind: "number", descending },
      );
    } else {
      keys.push(
        { expression: sql`case when ${value} is null then 1 else 0 end`, kind: "integer", descending: false },
        // The rest decides nothing that one would see, and the page token must fit into an address.
        {
          expression: sql`substr(coalesce(${value}, ''), 1, ${sql.lit(limits.sortedText)})${bytewise}`,
          kind: "text",
          descending,
        },
      );
    }
  }
  keys.push({ expression: sql.raw(target.id.sql), kind: target.id.kind, descending: false });
  return keys;
}

function orderJoin(map: MapTable, alias: string, item: OrderItem & { key?: string; dataset?: DatasetRef }) {
  const owner = sql.raw(map.owner.replaceAll("m.", `${alias}.`));
  if (map.latestOf === undefined) {
    return sql`left join ${sql.raw(map.table)} ${sql.ref(alias)} on ${owner} and ${sql.ref(`${alias}.key`)} = ${item.key}`;
  }
  const { name, digest } = item.dataset ?? {};
  return sql`left join (
    select m.*, row_number() over (partition by ${sql.raw(map.latestOf)} order by m.timestamp desc, m.step desc, m.run_id) as rank
    from ${sql.raw(map.table)} m where m.key = ${item.key}
    ${name === undefined ? sql`` : sql`and m.dataset_name = ${name}`}
    ${digest === undefined ? sql`` : sql`and m.dataset_digest = ${digest}`}
  ) ${sql.ref(alias)} on ${owner} and ${sql.ref(`${alias}.rank`)} = 1`;
}

/** The sort key of a row is greater, part by part, than the one given. */
function isAfter(
  keys: readonly SortKey[],
  after: readonly KeyPart[],
  dialect: SqlDialect,
): RawBuilder<unknown> {
  const part = (index: number) => {
    const kind = keys[index]?.kind;
    const value = after[index];
    if (dialect === "sqlite") return sql`${value}`;
    return kind === "text"
      ? sql`cast(${value} as text) collate "C"`
      : kind === "integer"
        ? sql`cast(${value} as bigint)`
        : sql`cast(${value} as double precision)`;
  };
  const column = (index: number) => sql.ref(`k${index}`);
  const alternatives = keys.map(({ descending }, index) => {
    const same = Array.from({ length: index }, (_, before) => sql`${column(before)} = ${part(before)}`);
    const beyond = sql`${column(index)} ${sql.raw(descending ? "<" : ">")} ${part(index)}`;
    return sql`(${sql.join([...same, beyond], sql` and `)})`;
  });
  // Says the same about the first part alone, for the sake of an index on it.
  const bound = sql`${column(0)} ${sql.raw(keys[0]?.descending === true ? "<=" : ">=")} ${part(0)}`;
  return sql`${bound} and (${sql.join(alternatives, sql` or `)})`;
}

function condition(comparison: Comparison, search: Search): RawBuilder<unknown> {
  const { target, dialect } = search;
  switch (comparison.entity) {
    case "attribute":
      return compare(sql.raw(comparison.attribute.sql), comparison, dialect);
    case "dataset": {
      const column = comparison.key === "context" ? "i.context" : `d.${comparison.key}`;
      return sql`exists (
        select 1 from tracking_run_input i join tracking_dataset d on d.dataset_id = i.dataset_id
        where i.run_id = ${sql.raw(target.id.sql)} and ${compare(sql.raw(column), comparison, dialect)})`;
    }
    default: {
      const map = target.maps[comparison.entity];
      if (map === undefined) return sql`1 = 0`;
      return mapCondition(map, comparison, search);
    }
  }
}

function mapCondition(
  map: MapTable,
  comparison: Comparison & { entity: "metric" | "param" | "tag" },
  search: Search,
): RawBuilder<unknown> {
  const { key, operator, value } = comparison;
  const rows = (more: RawBuilder<unknown>) =>
    sql`select 1 from ${sql.raw(map.table)} m where ${sql.raw(map.owner)} and m.key = ${key} ${more}`;
  if (operator === "IS NULL") return sql`not exists (${rows(sql``)})`;
  if (operator === "IS NOT NULL") return sql`exists (${rows(sql``)})`;
  const holds = compare(sql.raw("m.value"), comparison, search.dialect);
  if (comparison.entity === "metric") {
    const among = search.metricCondition === undefined ? sql`` : sql`and ${search.metricCondition}`;
    // NaN differs from every number and compares with none.
    const number = operator === "!=" ? sql`(m.is_nan = 1 or ${holds})` : sql`m.is_nan = 0 and ${holds}`;
    return sql`exists (${rows(sql`and ${number} ${among}`)})`;
  }
  const absent = map.absent !== undefined && Object.hasOwn(map.absent, key) ? map.absent[key] : undefined;
  if (absent === undefined || value === null) return sql`exists (${rows(sql`and ${holds}`)})`;
  const asIf = compare(sql`cast(${absent} as text)`, comparison, search.dialect);
  return sql`(exists (${rows(sql`and ${holds}`)}) or (not exists (${rows(sql``)}) and ${asIf}))`;
}

function compare(
  column: RawBuilder<unknown>,
  { operator, value }: Pick<Comparison, "operator" | "value">,
  dialect: SqlDialect,
): RawBuilder<unknown> {
  if (value === null) return sql`1 = 0`;
  if (value.kind === "list") {
    const among = isAnyOf(dialect, column, value.texts);
    return operator === "NOT IN" ? sql`not (${among})` : among;
  }
  if (value.kind === "number") {
    // A bigint column compares with 1.5 or 1e300 only as a double.
    const number = Number.isSafeInteger(value.number)
      ? sql`${value.number}`
      : sql`cast(${value.number} as double precision)`;
    return sql`${column} ${sql.raw(operator)} ${number}`;
  }
  const text = value.text;
  switch (operator) {
    case "LIKE":
      // No escape character: SQLite has none, and neither has MLflow's own evaluation.
      return dialect === "sqlite" ? sql`${column} like ${text}` : sql`${column} like ${text} escape ''`;
    case "ILIKE":
      return dialect === "sqlite"
        ? sql`lower(${column}) like lower(${text})`
        : sql`${column} ilike ${text} escape ''`;
    default:
      return sql`${column} ${sql.raw(operator)} ${text}`;
  }
}
