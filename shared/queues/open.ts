import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { Database } from "../database/index.ts";
import type { MessageQueue } from "./message-queue.ts";
import { createTableQueue } from "./table-queue.ts";

/** Opens the configured queues. */
export async function openMessageQueue(
  config: Config["queues"],
  dependencies: { readonly database: Database; readonly clock: Clock; readonly maxAttempts?: number },
): Promise<MessageQueue> {
  if (config.kind === "database") return createTableQueue(dependencies);
  const { createAzureQueue } = await import("./azure-queue.ts");
  return createAzureQueue({
    ...config,
    ...(dependencies.maxAttempts === undefined ? {} : { maxAttempts: dependencies.maxAttempts }),
  });
}
