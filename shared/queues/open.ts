import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { Database } from "../database/index.ts";
import { unsupported } from "../errors.ts";
import type { MessageQueue } from "./message-queue.ts";
import { createTableQueue } from "./table-queue.ts";

/** Opens the configured queues. */
export async function openMessageQueue(
  config: Config["queues"],
  dependencies: { readonly database: Database; readonly clock: Clock; readonly maxAttempts?: number },
): Promise<MessageQueue> {
  if (config.kind === "database") return createTableQueue(dependencies);
  throw unsupported(`config.queues.kind is "azure"; only the embedded queues are served yet.`);
}
