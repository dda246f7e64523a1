import { type DuckDb, quoteName, quoteText } from "../../../shared/duckdb/index.ts";
import type { Rows } from "../reading/reading.ts";
import type { Check, Expectation } from "../schemas.ts";

/** Holds the rows against what was expected of them. Nulls break nothing but `nulls` and `column`. */
export async function checkExpectations(
  duckDb: DuckDb,
  rows: Rows,
  expectations: readonly Expectation[],
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const expectation of expectations) {
    checks.push({ expectation, ...(await check(duckDb, rows, expectation)) });
  }
  return checks;
}

type Verdict = Pick<Check, "passed" | "observed">;

async function check(duckDb: DuckDb, rows: Rows, expectation: Expectation): Promise<Verdict> {
  const named =
    expectation.kind === "unique"
      ? expectation.columns
      : expectation.kind === "rows"
        ? []
        : [expectation.column];
  const missing = named.find((name) => !rows.columns.some((column) => column.name === name));
  if (missing !== undefined) return { passed: false, observed: `There is no column "${missing}".` };
  const from = `from read_parquet(${quoteText(rows.file)})`;
  const countWhere = async (condition: string): Promise<number> => {
    const [counted] = await duckDb.rows(`select count(*) as n ${from} where ${condition}`);
    return Number(counted?.n);
  };
  switch (expectation.kind) {
    case "column": {
      const kind = kindOf(rows, expectation.column);
      const passed = expectation.type === undefined || expectation.type === kind;
      return { passed, observed: `Column "${expectation.column}" is ${kind}.` };
    }
    case "nulls": {
      const column = quoteName(expectation.column);
      const numeric = kindOf(rows, expectation.column) === "numeric";
      const nulls = await countWhere(`${column} is null${numeric ? ` or isnan(${column}::double)` : ""}`);
      const share = rows.count === 0 ? 0 : nulls / rows.count;
      return {
        passed: share <= expectation.maxShare,
        observed: `${nulls} of ${rows.count} rows have no "${expectation.column}".`,
      };
    }
    case "range": {
      if (kindOf(rows, expectation.column) !== "numeric") return notNumeric(rows, expectation.column);
      const value = `${quoteName(expectation.column)}::double`;
      const { min, max } = expectation;
      const outside = await countWhere(
        [
          ...(min === undefined ? [] : [`${value} < ${min}`]),
          ...(max === undefined ? [] : [`${value} > ${max}`]),
        ]
          .concat("false")
          .map((condition) => `(not isnan(${value}) and ${condition})`)
          .join(" or "),
      );
      const [found] = await duckDb.rows(
        `select min(x) as low, max(x) as high from (select ${value} as x ${from}) where not isnan(x)`,
      );
      return {
        passed: outside === 0,
        observed: `${outside} values of "${expectation.column}" lie outside; they go from ${found?.low} to ${found?.high}.`,
      };
    }
    case "allowed": {
      const condition = notAllowed(rows, expectation.column, expectation.values);
      const others = await countWhere(condition);
      const [example] = await duckDb.rows(
        `select left(${quoteName(expectation.column)}::varchar, 100) as value ${from} where ${condition} limit 1`,
      );
      const shown = example === undefined ? "" : `, such as ${JSON.stringify(example.value)}`;
      return {
        passed: others === 0,
        observed: `${others} values of "${expectation.column}" are not among the allowed ones${shown}.`,
      };
    }
    case "unique": {
      const columns = expectation.columns.map(quoteName).join(", ");
      const [found] = await duckDb.rows(
        `select coalesce(sum(n - 1), 0)::bigint as n from (select count(*) as n ${from} group by ${columns} having count(*) > 1)`,
      );
      const repeated = Number(found?.n);
      return {
        passed: repeated === 0,
        observed: `${repeated} rows repeat the ${expectation.columns.map((name) => `"${name}"`).join(", ")} of another.`,
      };
    }
    case "rows": {
      const { min = 0, max = Number.POSITIVE_INFINITY } = expectation;
      return { passed: rows.count >= min && rows.count <= max, observed: `There are ${rows.count} rows.` };
    }
  }
}

function notAllowed(rows: Rows, name: string, values: readonly (string | number | boolean)[]): string {
  const column = quoteName(name);
  const numeric = kindOf(rows, name) === "numeric";
  const list = numeric
    ? values.filter((value) => typeof value === "number").map((value) => `${value}::double`)
    : values.map((value) => quoteText(String(value)));
  const expression = numeric ? `${column}::double` : `${column}::varchar`;
  return list.length === 0 ? `${column} is not null` : `${expression} not in (${list.join(", ")})`;
}

function kindOf(rows: Rows, name: string) {
  return rows.columns.find((column) => column.name === name)?.kind ?? "other";
}

function notNumeric(rows: Rows, name: string): Verdict {
  return { passed: false, observed: `Column "${name}" is ${kindOf(rows, name)}, not numeric.` };
}
