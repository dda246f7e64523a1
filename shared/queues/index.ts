export type { MessageQueue, QueueMessage } from "./message-queue.ts";
export { queueMigrations } from "./migrations.ts";
export { openMessageQueue } from "./open.ts";
