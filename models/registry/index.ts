export { createRegistry } from "./create-registry.ts";
export { artifactUsesOf } from "./files/artifact-uses.ts";
export { registryMigrations } from "./migrations.ts";
export type { ModelVersion, Registry } from "./registry.ts";
export { createWebhooks, type Webhooks, type WebhooksOptions } from "./webhooks/create-webhooks.ts";
