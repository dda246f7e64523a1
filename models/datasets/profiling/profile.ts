import { type DuckDb, quoteName, quoteText } from "../../../shared/duckdb/index.ts";
import type { Rows } from "../reading/reading.ts";
import type { Column, ColumnProfile } from "../schemas.ts";
import { countDistinct } from "./distinct.ts";

const bins = 20;
const topCount = 20;
const probabilities = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/** What the columns of a data set hold. Column after column, so that one of a thousand needs no more memory than one. */
export async function profileColumns(
  duckDb: DuckDb,
  rows: Rows,
  onColumn: (done: number) => void,
): Promise<ColumnProfile[]> {
  const profiles: ColumnProfile[] = [];
  for (const column of rows.columns) {
    profiles.push(await profileColumn(duckDb, rows, column));
    onColumn(profiles.length);
  }
  return profiles;
}

async function profileColumn(duckDb: DuckDb, rows: Rows, column: Column): Promise<ColumnProfile> {
  const name = quoteName(column.name);
  const from = `from read_parquet(${quoteText(rows.file)})`;
  const [counted] = await duckDb.rows(`select count(*) - count(${name}) as nulls ${from}`);
  const distinct = await countDistinct(
    duckDb,
    column.kind === "other" ? `${name}::varchar` : name,
    rows.file,
  );
  const common = {
    name: column.name,
    type: column.type,
    rows: rows.count,
    nulls: Number(counted?.nulls),
    distinct,
  };
  switch (column.kind) {
    case "numeric": {
      const numbers = await profileNumbers(duckDb, name, from);
      const top = await topValues(duckDb, `nullif(${name}::double, 'nan'::double)`, from, distinct.exact);
      return { kind: "numeric", ...common, ...numbers, top };
    }
    case "time":
      return { kind: "time", ...common, ...(await profileTimes(duckDb, name, from)) };
    case "text": {
      const lengths = await profileLengths(duckDb, `${name}::varchar`, from);
      const top = await topValues(duckDb, `left(${name}::varchar, 200)`, from, distinct.exact);
      return { kind: "text", ...common, ...lengths, top };
    }
    case "boolean":
      return { kind: "boolean", ...common, top: await topValues(duckDb, name, from, true) };
    case "other":
      return { kind: "other", ...common };
  }
}

async function profileNumbers(duckDb: DuckDb, name: string, from: string) {
  const value = `${name}::double`;
  const [range] = await duckDb.rows(
    `select count(*) filter (isnan(x)) as nan,
            count(*) filter (x = 'infinity'::double) as pos_inf,
            count(*) filter (x = '-infinity'::double) as neg_inf,
            min(x) filter (isfinite(x)) as low,
            max(x) filter (isfinite(x)) as high
       from (select ${value} as x ${from})`,
  );
  const low = numberOf(range?.low);
  const high = numberOf(range?.high);
  const counts = {
    nan: Number(range?.nan),
    posInf: Number(range?.pos_inf),
    negInf: Number(range?.neg_inf),
    min: low,
    max: high,
  };
  if (low === null || high === null) {
    return { ...counts, mean: null, sd: null, quantiles: [], histogram: { edges: [], counts: [] } };
  }
  // Divided by a power of two, which loses nothing, squares cannot overflow; DuckDB fails the query when they do.
  const scale =
    2 ** Math.min(1023, Math.ceil(Math.log2(Math.max(Math.abs(low), Math.abs(high), 2 ** -1000))));
  const scaled = `(${value} / ${scale})`;
  const [shape] = await duckDb.rows(
    `select favg(x) as mean, stddev_pop(x) as sd, approx_quantile(x, [${probabilities.join(", ")}]) as quantiles
       from (select ${scaled} as x ${from}) where isfinite(x)`,
  );
  const quantiles = Array.isArray(shape?.quantiles) ? shape.quantiles.map(Number) : [];
  return {
    ...counts,
    mean: finite(Number(shape?.mean) * scale),
    sd: finite(Number(shape?.sd) * scale),
    quantiles: probabilities.map((p, index) => ({
      p,
      value: finite((quantiles[index] ?? 0) * scale) ?? high,
    })),
    histogram: await equalWidth(duckDb, scaled, from, low / scale, high / scale, scale),
  };
}

async function profileTimes(duckDb: DuckDb, name: string, from: string) {
  // 'infinity' is a timestamp too, and has no milliseconds.
  const milliseconds = `case when isfinite(${name}) then epoch_ms(${name}::timestamp)::double end`;
  const [range] = await duckDb.rows(
    `select min(x) as low, max(x) as high from (select ${milliseconds} as x ${from})`,
  );
  const low = numberOf(range?.low);
  const high = numberOf(range?.high);
  return {
    min: isoTime(low),
    max: isoTime(high),
    histogram:
      low === null || high === null
        ? { edges: [], counts: [] }
        : await equalWidth(duckDb, milliseconds, from, low, high, 1),
  };
}

async function equalWidth(
  duckDb: DuckDb,
  expression: string,
  from: string,
  low: number,
  high: number,
  scale: number,
) {
  if (low === high) {
    const [counted] = await duckDb.rows(
      `select count(*) as n from (select ${expression} as x ${from}) where isfinite(x)`,
    );
    return { edges: [low * scale, high * scale], counts: [Number(counted?.n)] };
  }
  const width = high / bins - low / bins;
  const found = await duckDb.rows(
    `select least(${bins - 1}, greatest(0, floor(x / ${width} - ${low / width})))::integer as bin, count(*) as n
       from (select ${expression} as x ${from}) where isfinite(x) group by bin`,
  );
  const counts = new Array<number>(bins).fill(0);
  for (const { bin, n } of found) counts[Number(bin)] = Number(n);
  const edges = Array.from({ length: bins + 1 }, (_, i) => (i === bins ? high : low + i * width) * scale);
  return { edges, counts };
}

async function profileLengths(duckDb: DuckDb, text: string, from: string) {
  const [lengths] = await duckDb.rows(
    `select count(*) filter (length(x) = 0) as empty, min(length(x)) as low, max(length(x)) as high,
            avg(length(x)) as mean
       from (select ${text} as x ${from})`,
  );
  return {
    empty: Number(lengths?.empty),
    minLength: numberOf(lengths?.low),
    maxLength: numberOf(lengths?.high),
    meanLength: numberOf(lengths?.mean),
  };
}

/** The most frequent values; where there are too many to count each, by DuckDB's Filtered Space-Saving. */
async function topValues(duckDb: DuckDb, expression: string, from: string, few: boolean) {
  const counted = (where: string) =>
    duckDb.rows(
      `select x as value, count(*) as n from (select ${expression} as x ${from}) where x is not null ${where}
        group by x order by n desc, x limit ${topCount}`,
    );
  const found = few
    ? await counted("")
    : await counted(
        `and x in (select unnest(approx_top_k(x, ${topCount})) from (select ${expression} as x ${from}))`,
      );
  return found.map(({ value, n }) => ({
    value: typeof value === "boolean" || typeof value === "number" ? value : String(value),
    count: Number(n),
  }));
}

function numberOf(value: unknown): number | null {
  return value === null || value === undefined ? null : finite(Number(value));
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** JavaScript's dates end at the year 275,760; DuckDB's do not. */
function isoTime(milliseconds: number | null): string | null {
  if (milliseconds === null || Math.abs(milliseconds) > 8.64e15) return null;
  return new Date(milliseconds).toISOString();
}
