import { sql } from "kysely";
import type { Migration } from "../../shared/database/index.ts";
import { frozenPlace } from "./files/frozen-artifacts.ts";

/**
 * A registered model has an id of its own (`model_uid`) beside its name, so that renaming it is one row and its history
 * stays its own when the name is used again.
 */
export const registryMigrations: readonly Migration[] = [
  {
    name: "0200-registry-models",
    async up(schema, dialect) {
      const clustered = dialect === "sqlite" ? " without rowid" : "";
      const statements = [
        // One row. Every change takes it first: changes are made one after the other, and what is committed later has
        // the higher number.
        `create table registry_state (id integer primary key, revision bigint not null)`,
        `insert into registry_state (id, revision) values (1, 0)`,
        `create table registry_model (
          model_uid text primary key,
          name text not null unique,
          description text not null,
          created_ms bigint not null,
          updated_ms bigint not null,
          next_version integer not null)`,
        `create table registry_model_tag (
          model_uid text not null,
          key text not null,
          value text not null,
          primary key (model_uid, key))${clustered}`,
        `create table registry_version (
          version_uid text primary key,
          model_uid text not null,
          version integer not null,
          description text not null,
          created_ms bigint not null,
          updated_ms bigint not null,
          stage text not null,
          source text not null,
          storage_location text not null,
          run_id text not null,
          run_link text not null,
          logged_model_id text not null,
          unique (model_uid, version))`,
        `create index registry_version_run on registry_version (run_id)`,
        `create table registry_version_tag (
          version_uid text not null,
          key text not null,
          value text not null,
          primary key (version_uid, key))${clustered}`,
        `create table registry_alias (
          model_uid text not null,
          alias text not null,
          version integer not null,
          primary key (model_uid, alias))${clustered}`,
        `create table registry_event (
          event_id bigint primary key,
          model_uid text not null,
          model_name text not null,
          kind text not null,
          alias text,
          version integer,
          tag text,
          before_value text,
          after_value text,
          reason text,
          actor_id text not null,
          actor_name text not null,
          at_ms bigint not null)`,
        `create index registry_event_model on registry_event (model_uid, event_id)`,
        `create index registry_event_name on registry_event (model_name, event_id)`,
      ];
      for (const statement of statements) await sql.raw(statement).execute(schema);
    },
  },
  {
    name: "0201-registry-webhooks",
    async up(schema, dialect) {
      const clustered = dialect === "sqlite" ? " without rowid" : "";
      const statements = [
        `create table registry_webhook (
          webhook_id text primary key,
          name text not null,
          description text not null,
          url text not null,
          status text not null,
          secret text,
          created_ms bigint not null,
          updated_ms bigint not null)`,
        `create index registry_webhook_created on registry_webhook (created_ms, webhook_id)`,
        `create table registry_webhook_event (
          webhook_id text not null,
          event text not null,
          position integer not null,
          primary key (webhook_id, event))${clustered}`,
        `create table registry_webhook_delivery (
          delivery_id text primary key,
          webhook_id text not null,
          event_id bigint not null,
          event text not null,
          payload text not null,
          state text not null,
          tries integer not null,
          tries_left integer not null,
          created_ms bigint not null,
          due_ms bigint not null,
          ended_ms bigint,
          response_status integer,
          error text,
          lease text,
          lease_until_ms bigint not null,
          unique (webhook_id, event_id))`,
        // Searched for each next delivery, while nearly all have ended: which is the first, and is one on its way?
        `create index registry_webhook_delivery_pending
          on registry_webhook_delivery (webhook_id, event_id, due_ms) where state = 'pending'`,
        `create index registry_webhook_delivery_leased
          on registry_webhook_delivery (webhook_id, lease_until_ms) where state = 'pending'`,
      ];
      for (const statement of statements) await sql.raw(statement).execute(schema);
    },
  },
  {
    name: "0202-registry-frozen-artifacts",
    async up(schema) {
      await sql.raw("alter table registry_version add column storage_key text").execute(schema);
      await sql
        .raw("create index registry_version_storage on registry_version (storage_key)")
        .execute(schema);
      const { rows } = await sql<{ storage_location: string }>`
        select distinct storage_location from registry_version`.execute(schema);
      for (const { storage_location: location } of rows) {
        const key = frozenPlace(location);
        if (key === null) continue;
        await sql`update registry_version set storage_key = ${key} where storage_location = ${location}`.execute(
          schema,
        );
      }
    },
  },
  {
    name: "0203-registry-manifests",
    async up(schema) {
      await sql
        .raw(
          `create table registry_manifest (
            version_uid text primary key,
            files text not null,
            taken_ms bigint not null)`,
        )
        .execute(schema);
    },
  },
];
