import type { Kysely, Transaction } from "kysely";
import type { SqlDialect } from "../../../shared/database/index.ts";
import type { EventKind } from "../events.ts";
import type { WebhookTables } from "../webhooks/tables.ts";

/** The tables of the registry. Their migrations stand in `../migrations.ts`. */
export interface RegistryTables extends WebhookTables {
  registry_state: { id: number; revision: number };
  registry_model: ModelRow;
  registry_model_tag: { model_uid: string; key: string; value: string };
  registry_version: VersionRow;
  registry_manifest: { version_uid: string; files: string; taken_ms: number };
  registry_version_tag: { version_uid: string; key: string; value: string };
  registry_alias: { model_uid: string; alias: string; version: number };
  registry_event: EventRow;
}

export interface ModelRow {
  model_uid: string;
  name: string;
  description: string;
  created_ms: number;
  updated_ms: number;
  /** The number that the next version gets; it never goes back. */
  next_version: number;
}

export const stages = ["None", "Staging", "Production", "Archived"] as const;
export type Stage = (typeof stages)[number];

/** Text that MLflow leaves unset is empty here. */
export interface VersionRow {
  version_uid: string;
  model_uid: string;
  version: number;
  description: string;
  created_ms: number;
  updated_ms: number;
  stage: Stage;
  source: string;
  storage_location: string;
  /** The blob key below which nothing may change any more; null where Ketline does not keep the files. */
  storage_key: string | null;
  run_id: string;
  run_link: string;
  logged_model_id: string;
}

export interface EventRow {
  event_id: number;
  model_uid: string;
  model_name: string;
  kind: EventKind;
  alias: string | null;
  version: number | null;
  tag: string | null;
  /** JSON. */
  before_value: string | null;
  after_value: string | null;
  reason: string | null;
  actor_id: string;
  actor_name: string;
  at_ms: number;
}

export interface Store {
  readonly db: Kysely<RegistryTables> | Transaction<RegistryTables>;
  readonly dialect: SqlDialect;
}
