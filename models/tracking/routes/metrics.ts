import type { Route } from "../../../shared/http/index.ts";
import { many, mlflowRoute } from "../../../shared/mlflow/index.ts";
import type { TrackingContext } from "../context.ts";
import { getHistory, getHistoryBulk, getHistoryInterval, type RunMetric } from "../metrics.ts";
import { GetHistory, GetHistoryBulk, GetHistoryInterval } from "../schemas.ts";
import { metricJson } from "../wire.ts";

const runMetricJson = (metric: RunMetric) => ({ ...metricJson(metric), run_id: metric.run_id });

export function metricRoutes(context: TrackingContext): Route[] {
  return [
    mlflowRoute({
      method: "GET",
      path: "/metrics/get-history",
      role: "viewer",
      summary: "All values of a metric",
      request: GetHistory,
      handle: async (request) => {
        const { metrics, nextPageToken } = await getHistory(context, request);
        return { metrics: many(metrics.map(metricJson)), next_page_token: nextPageToken };
      },
    }),
    mlflowRoute({
      method: "GET",
      path: "/metrics/get-history-bulk",
      role: "viewer",
      summary: "All values of a metric in several runs",
      request: GetHistoryBulk,
      // Not a protobuf answer: the list is there also when it is empty.
      handle: async (request) => ({
        metrics: (await getHistoryBulk(context, request)).map(runMetricJson),
      }),
    }),
    mlflowRoute({
      method: "GET",
      path: "/metrics/get-history-bulk-interval",
      role: "viewer",
      summary: "A sample of the values of a metric in several runs",
      request: GetHistoryInterval,
      handle: async (request) => ({
        metrics: many((await getHistoryInterval(context, request)).map(runMetricJson)),
      }),
    }),
  ].flat();
}
