import type { ColumnResult, Metric } from "../schemas.ts";

/** What was computed of one column, before the verdict. */
export interface Comparison {
  readonly metrics: readonly Metric[];
  readonly test: ColumnResult["test"];
  readonly p: number;
}
