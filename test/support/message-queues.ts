import { createAzureQueue } from "../../shared/queues/azure-queue.ts";
import { type MessageQueue, openMessageQueue, queueMigrations } from "../../shared/queues/index.ts";
import { settableClock } from "./application.ts";
import { type Azurite, startAzurite } from "./azurite.ts";
import { type DatabaseCase, databaseCases } from "./databases.ts";

/** Queues and their clock. Each test uses queue names of its own: the emulator is one for all of them. */
export interface QueueWorld {
  readonly queue: MessageQueue;
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** One kind of queue; `start` before the first `open`, `stop` after the last. */
export interface QueueCase {
  readonly name: string;
  start(): Promise<void>;
  /** @param maxAttempts how often a message is handed out before it is put aside */
  open(maxAttempts: number): Promise<QueueWorld>;
  stop(): Promise<void>;
}

export function queueCases(): QueueCase[] {
  return [...databaseCases().map(tableCase), azureCase()];
}

function tableCase({ name, open }: DatabaseCase): QueueCase {
  return {
    name: `a table in ${name}`,
    start: async () => {},
    stop: async () => {},
    async open(maxAttempts) {
      const database = await open(queueMigrations);
      const clock = settableClock();
      return {
        queue: await openMessageQueue({ kind: "database" }, { database, clock, maxAttempts }),
        advance: async (ms) => clock.advance(ms),
        close: () => database.close(),
      };
    },
  };
}

function azureCase(): QueueCase {
  let azurite: Azurite | undefined;
  return {
    name: "Azure Queue Storage",
    async start() {
      azurite = await startAzurite();
    },
    async stop() {
      await azurite?.[Symbol.asyncDispose]();
    },
    async open(maxAttempts) {
      if (azurite === undefined) throw new Error("Azurite was not started.");
      const { queueUrl, connectionString, advance } = azurite;
      return {
        queue: createAzureQueue({ accountUrl: queueUrl, connectionString, maxAttempts }),
        advance,
        close: async () => {},
      };
    },
  };
}
