import type { Logger } from "pino";
import { createMlflowClient, type MlflowClient } from "../../../clients/mlflow/index.ts";
import { createApplication } from "../../../shared/http/index.ts";
import type { Actor } from "../../../shared/identity/index.ts";
import type { Registry } from "../../registry/index.ts";
import type { Tracking } from "../../tracking/index.ts";

/**
 * This server's own MLflow API without a network between, so that a transfer is the same from a server as into one. What
 * it does is done by the actor.
 */
export function localClient(options: {
  readonly tracking: Tracking;
  readonly registry: Registry;
  readonly logger: Logger;
  readonly actor: Actor;
}): MlflowClient {
  const { tracking, registry, logger, actor } = options;
  const app = createApplication({
    routes: [...tracking.routes, ...registry.routes],
    identity: { authenticate: async () => actor },
    // One line for each of a million calls would say nothing.
    logger: logger.child({}, { level: "warn" }),
  });
  return createMlflowClient({
    url: "http://localhost",
    fetch: async (input, init) => app.fetch(new Request(input, init)),
  });
}
