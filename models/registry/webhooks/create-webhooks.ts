import type { Capability } from "../../../shared/capability.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { Config } from "../../../shared/config.ts";
import type { Database } from "../../../shared/database/index.ts";
import type { AuditLog } from "../../../shared/identity/index.ts";
import { keptSince, removeInPortions } from "../../../shared/retention.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
import { createDeliverer, createSecretBox, type Resolve } from "../../../shared/webhooks/index.ts";
import { deliveryHeaders } from "./delivery/signature.ts";
import { webhookRoutes } from "./routes.ts";
import { createWebhookStore } from "./store.ts";

export interface WebhooksOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly logger: Logger;
  readonly config: Pick<Config, "webhooks" | "retention">;
  /** Encrypts the webhooks' secrets. */
  readonly signingKey: string;
  /** Draws the random half of pauses: from 0 up to, not including, 1; `Math.random` by default. */
  readonly random?: () => number;
  /** Finds the addresses of names; the system's resolver by default. */
  readonly resolve?: Resolve;
  /** For one try; 15 s by default. */
  readonly timeoutMs?: number;
}

/** Who wants to hear of the registry's events, and the sending of them. */
export interface Webhooks extends Capability {
  /** Sends what the registry has just written down, in the background. */
  wake(): void;
}

const defaultTimeoutMs = 15_000;

/**
 * MLflow's webhooks. The registry writes a delivery into its own transaction for each event that a webhook wants
 * (`outbox.ts`); from there it is sent at least once: at once by the instance that made the change, and by the timer of
 * any instance when that one failed, was stopped or killed.
 */
export function createWebhooks(options: WebhooksOptions): Webhooks {
  const { database, clock, audit, logger, config } = options;
  const { random = Math.random, resolve, timeoutMs = defaultTimeoutMs } = options;
  const store = createWebhookStore(database);
  const secrets = createSecretBox(options.signingKey);
  const sending = { allowPrivate: config.webhooks.allowPrivate, timeoutMs, resolve };
  const deliverer = createDeliverer({
    ...{ store, secrets, sending, clock, logger, random },
    headersOf: ({ delivery_id, payload }, nowMs, secret) =>
      deliveryHeaders(delivery_id, nowMs, payload, secret),
  });
  return {
    routes: webhookRoutes({ store, secrets, sending, deliverer, clock, audit }),
    jobKinds: [],
    timers: [
      {
        name: "registry-webhooks-send",
        schedule: "*/15 * * * * *",
        run: async () => {
          await deliverer.deliverDue();
        },
      },
      {
        name: "registry-webhooks-prune",
        schedule: "0 29 3 * * *",
        run: async () => {
          const beforeMs = keptSince(config.retention.webhookDays, clock());
          if (beforeMs === null) return;
          const deliveries = await removeInPortions((most) => store.prune(beforeMs, most), { clock });
          if (deliveries > 0)
            logger.info({ deliveries, beforeMs }, "old deliveries of webhooks were removed");
        },
      },
    ],
    wake: deliverer.wake,
    close: deliverer.stop,
  };
}
