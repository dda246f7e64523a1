import { json, type Route, route } from "../../../shared/http/index.ts";
import { JobSchema, type Jobs } from "../../../shared/jobs/index.ts";
import { storeOf, type TrackingContext } from "../context.ts";
import { requireExperiment } from "../experiments.ts";
import type { garbageJob } from "./garbage-job.ts";
import { GarbageSpec } from "./schemas.ts";

export function garbageRoutes(
  context: TrackingContext,
  jobs: Jobs,
  kind: ReturnType<typeof garbageJob>,
): Route[] {
  return [
    route({
      method: "POST",
      path: "/api/v1/tracking/garbage-collections",
      protocol: "ketline",
      tag: "Tracking",
      role: "admin",
      summary: "Remove for good what was deleted",
      description:
        "Runs and logged models that were deleted longer ago than `olderThanDays`, experiments that were, with all that is " +
        "in them, and files below the root of all artifacts that no run, logged model or model version names. What a " +
        "registered model version still needs is kept. With `dryRun`, the default, the job's result says what would go.",
      body: GarbageSpec,
      responses: { 202: { description: "The job that does it", schema: JobSchema } },
      handle: async ({ body, actor }) => {
        for (const id of body.experimentIds ?? []) await requireExperiment(storeOf(context), id);
        return json(await jobs.submit(kind, body, { actor }), 202);
      },
    }),
  ];
}
