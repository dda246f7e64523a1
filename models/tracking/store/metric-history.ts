import { run, type Store } from "./statement.ts";
import type { MetricRow } from "./tables.ts";

/** Where a page of history ends: the order is that of the primary key. */
export type HistoryPosition = readonly [timestamp: number, step: number, value: number, isNan: number];

/** All values of one metric, by time, step and value. @param limit none for all of them */
export function selectHistory(
  store: Store,
  runId: string,
  key: string,
  page: { readonly limit?: number; readonly after?: HistoryPosition | undefined },
): Promise<readonly MetricRow[]> {
  const { limit, after } = page;
  return run<MetricRow>(
    store,
    `select key, timestamp, step, value, is_nan from tracking_metric where run_id = ? and key = ?
      ${after === undefined ? "" : "and (timestamp, step, value, is_nan) > (cast(? as bigint), cast(? as bigint), cast(? as double precision), cast(? as integer))"}
      order by timestamp, step, value, is_nan ${limit === undefined ? "" : "limit ?"}`,
    [runId, key, ...(after ?? []), ...(limit === undefined ? [] : [limit])],
  );
}

/** The histories of several runs, run by run in the order of their ids. */
export function selectHistories(
  store: Store,
  runIds: readonly string[],
  key: string,
  limit: number,
): Promise<readonly (MetricRow & { run_id: string })[]> {
  return run(
    store,
    `select run_id, key, timestamp, step, value, is_nan from tracking_metric
      where run_id in (${runIds.map(() => "?").join(", ")}) and key = ?
      order by run_id, timestamp, step, value, is_nan limit ?`,
    [...runIds, key, limit],
  );
}

/**
 * At most `count` values of one run, evenly spread over its history by step, with the first and the last: the first row
 * of each of `count` equal buckets, the last bucket giving its last row.
 */
export async function sampleHistory(
  store: Store,
  runId: string,
  key: string,
  count: number,
  steps?: { readonly from: number; readonly to: number },
): Promise<readonly MetricRow[]> {
  const among = steps === undefined ? "" : "and step between ? and ?";
  const order = "step, timestamp, value, is_nan";
  return run<MetricRow>(
    store,
    `with ordered as (
        select key, timestamp, step, value, is_nan,
          ntile(cast(? as integer)) over (order by ${order}) as bucket,
          row_number() over (order by ${order}) as position,
          count(*) over () as total
        from tracking_metric where run_id = ? and key = ? ${among}),
      edges as (
        select ordered.*, row_number() over (partition by bucket order by position) as place,
          max(bucket) over () as last_bucket from ordered)
      select key, timestamp, step, value, is_nan from edges
      where case when bucket = last_bucket then position = total else place = 1 end
      order by position`,
    [count, runId, key, ...(steps === undefined ? [] : [steps.from, steps.to])],
  );
}
