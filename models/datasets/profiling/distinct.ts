import { type DuckDb, quoteText } from "../../../shared/duckdb/index.ts";

export interface DistinctCount {
  readonly value: number;
  readonly exact: boolean;
}

/** 2^12 registers: a standard error of 1.04 / sqrt(4096) = 1.6 %. */
const registerBits = 12;
const registers = 2 ** registerBits;
const hashBits = 64 - registerBits;

/** Counted exactly up to here; the set of values then fits in memory without a thought. */
export const exactLimit = 12_000;

/**
 * Different values of an expression, without nulls. Exact while they are few; above, HyperLogLog (Flajolet et al., 2007)
 * over DuckDB's 64-bit hash: one pass, 4,096 groups. DuckDB's own approx_count_distinct was up to a third off.
 */
export async function countDistinct(
  duckDb: DuckDb,
  expression: string,
  file: string,
): Promise<DistinctCount> {
  const from = `from read_parquet(${quoteText(file)}) where ${expression} is not null`;
  // The rank of a register is set by the smallest remainder that fell into it, so MIN replaces counting zeros.
  const groups = await duckDb.rows(
    `select min(h >> ${registerBits})::varchar as least
       from (select hash(${expression}) as h ${from}) group by (h & ${registers - 1})`,
  );
  const estimate = hyperLogLog(groups.map((group) => BigInt(String(group.least))));
  if (estimate > exactLimit) return { value: Math.round(estimate), exact: false };
  const [counted] = await duckDb.rows(`select count(distinct ${expression}) as n ${from}`);
  return { value: Number(counted?.n), exact: true };
}

/** @param least for each register that is not empty, the smallest 52-bit remainder in it */
function hyperLogLog(least: readonly bigint[]): number {
  const empty = registers - least.length;
  let sum = empty;
  for (const remainder of least) {
    const rank = hashBits - (remainder === 0n ? 0 : remainder.toString(2).length) + 1;
    sum += 2 ** -rank;
  }
  const alpha = 0.7213 / (1 + 1.079 / registers);
  const raw = (alpha * registers * registers) / sum;
  // Linear counting where few registers are filled; with 64-bit hashes large counts need no correction.
  return raw <= 2.5 * registers && empty > 0 ? registers * Math.log(registers / empty) : raw;
}
