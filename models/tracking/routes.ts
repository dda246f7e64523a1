import type { Route } from "../../shared/http/index.ts";
import type { TrackingContext } from "./context.ts";
import { artifactRoutes } from "./routes/artifacts.ts";
import { experimentRoutes } from "./routes/experiments.ts";
import { loggedModelRoutes } from "./routes/logged-models.ts";
import { metricRoutes } from "./routes/metrics.ts";
import { runRoutes } from "./routes/runs.ts";
import { serverRoutes } from "./routes/server.ts";

/** MLflow's REST API for experiments, runs, metrics, logged models and artifacts. */
export function trackingRoutes(context: TrackingContext): Route[] {
  return [
    ...experimentRoutes(context),
    ...runRoutes(context),
    ...metricRoutes(context),
    ...loggedModelRoutes(context),
    ...artifactRoutes(context),
    ...serverRoutes({ offersLinks: context.blobs.linksBypassServer }),
  ];
}
