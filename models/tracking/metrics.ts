import type { z } from "zod";
import { invalid } from "../../shared/errors.ts";
import { pageToken, readPageToken } from "../../shared/mlflow/index.ts";
import { storeOf, type TrackingContext } from "./context.ts";
import { requireRun } from "./runs.ts";
import type { GetHistory, GetHistoryBulk, GetHistoryInterval } from "./schemas.ts";
import {
  type HistoryPosition,
  sampleHistory,
  selectHistories,
  selectHistory,
} from "./store/metric-history.ts";
import type { MetricRow } from "./store/tables.ts";

export type RunMetric = MetricRow & { readonly run_id: string };

/** About 25 MB of JSON; clients that do not say how many they want get the rest by its token. */
const maxHistory = 250_000;

/** The values of one metric, by time, step and value. @throws notFound. */
export async function getHistory(
  context: TrackingContext,
  request: z.infer<typeof GetHistory>,
): Promise<{ readonly metrics: readonly MetricRow[]; readonly nextPageToken?: string }> {
  const store = storeOf(context);
  const after = readPageToken(request.page_token, ["integer", "integer", "number", "integer"]);
  await requireRun(store, request.run_id);
  const limit = Math.min(request.max_results ?? maxHistory, maxHistory);
  const rows = await selectHistory(store, request.run_id, request.metric_key, {
    limit: limit + 1,
    after: after as HistoryPosition | undefined,
  });
  if (rows.length <= limit) return { metrics: rows };
  const metrics = rows.slice(0, limit);
  const last = metrics.at(-1);
  if (last === undefined) return { metrics };
  return { metrics, nextPageToken: pageToken([last.timestamp, last.step, last.value, last.is_nan]) };
}

const maxBulkRuns = 100;
const maxBulkResults = 25_000;

/** The histories of up to 100 runs, at most 25,000 values in all. @throws invalid. */
export function getHistoryBulk(
  context: TrackingContext,
  request: z.infer<typeof GetHistoryBulk>,
): Promise<readonly RunMetric[]> {
  const runIds = request.run_id;
  if (runIds.length === 0) throw invalid("GetMetricHistoryBulk request must specify at least one run_id.");
  if (runIds.length > maxBulkRuns) {
    throw invalid(
      `GetMetricHistoryBulk request cannot specify more than ${maxBulkRuns} run_ids. Received ${runIds.length} run_ids.`,
    );
  }
  const limit = Math.min(request.max_results, maxBulkResults);
  return selectHistories(storeOf(context), runIds, request.metric_key, limit);
}

/** At most `max_results` values of each run, evenly spread, with the first and the last. @throws invalid, notFound. */
export async function getHistoryInterval(
  context: TrackingContext,
  request: z.infer<typeof GetHistoryInterval>,
): Promise<readonly RunMetric[]> {
  const { run_ids: runIds, start_step: from, end_step: to } = request;
  if (runIds.length === 0) throw invalid("Missing value for required parameter 'run_ids'.");
  if ((from === undefined) !== (to === undefined)) {
    throw invalid("If either start step or end step are specified, both must be specified.");
  }
  const steps = from === undefined || to === undefined ? undefined : { from, to };
  if (steps !== undefined && steps.from > steps.to) {
    throw invalid(
      `end_step must be greater than start_step. Found start_step=${steps.from} and end_step=${steps.to}.`,
    );
  }
  const store = storeOf(context);
  const metrics: RunMetric[] = [];
  for (const runId of runIds) {
    await requireRun(store, runId);
    const rows = await sampleHistory(store, runId, request.metric_key, request.max_results, steps);
    for (const row of rows) metrics.push({ ...row, run_id: runId });
  }
  return metrics;
}
