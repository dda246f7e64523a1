import type { Capability } from "../../../shared/capability.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { Config } from "../../../shared/config.ts";
import type { Database } from "../../../shared/database/index.ts";
import type { AuditLog } from "../../../shared/identity/index.ts";
import { keptSince, removeInPortions } from "../../../shared/retention.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
import { createDeliverer, createSecretBox, type Resolve } from "../../../shared/webhooks/index.ts";
import { requestHeaders } from "./headers.ts";
import { subscriptionRoutes } from "./routes.ts";
import { createSubscriptionStore } from "./subscription-store.ts";
import { createSubscriptions } from "./subscriptions.ts";

export interface NotificationOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly logger: Logger;
  readonly config: Pick<Config, "webhooks" | "retention">;
  /** Seals the secrets of subscriptions. */
  readonly signingKey: string;
  /** Names this Ketline in what is sent. */
  readonly source: string;
  /** Finds the addresses of names; the system's resolver by default. */
  readonly resolve?: Resolve | undefined;
}

/** Tells subscribers of what the alert store has written down for them. */
export interface Notifications extends Capability {
  /** Sends what is due, in the background. */
  wake(): void;
}

const timeoutMs = 15_000;

export function createNotifications(options: NotificationOptions): Notifications {
  const { database, clock, audit, logger, config, source } = options;
  const store = createSubscriptionStore(database);
  const secrets = createSecretBox(options.signingKey);
  const sending = { allowPrivate: config.webhooks.allowPrivate, timeoutMs, resolve: options.resolve };
  const deliverer = createDeliverer({
    ...{ store, secrets, sending, clock, logger, random: Math.random },
    headersOf: ({ delivery_id, payload }, nowMs, secret) =>
      requestHeaders(delivery_id, nowMs, payload, secret),
  });
  return {
    routes: subscriptionRoutes(
      createSubscriptions({ store, secrets, sending, deliverer, source, clock, audit }),
    ),
    jobKinds: [],
    timers: [
      {
        name: "monitoring-alerts-send",
        schedule: "*/10 * * * * *",
        run: async () => void (await deliverer.deliverDue()),
      },
      {
        name: "monitoring-alerts-prune",
        schedule: "0 31 3 * * *",
        async run() {
          const beforeMs = keptSince(config.retention.webhookDays, clock());
          if (beforeMs !== null) await removeInPortions((most) => store.prune(beforeMs, most), { clock });
        },
      },
    ],
    wake: deliverer.wake,
    close: deliverer.stop,
  };
}
