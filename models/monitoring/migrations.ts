import { sql } from "kysely";
import type { Migration } from "../../shared/database/index.ts";
import { decisionsOfRollbacks } from "./bake/decisions-of-rollbacks.ts";
import { moveTrafficToLedger } from "./move-traffic.ts";

export const monitoringMigrations: readonly Migration[] = [
  {
    name: "0500-monitoring-monitors",
    async up({ schema }) {
      await schema
        .createTable("monitor")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("revision", "bigint", (column) => column.notNull())
        .addColumn("spec", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .addColumn("updated_ms", "bigint", (column) => column.notNull())
        .addColumn("updated_by", "text", (column) => column.notNull())
        .execute();
      await schema
        .createTable("monitor_revision")
        .addColumn("monitor", "text", (column) => column.notNull())
        .addColumn("revision", "bigint", (column) => column.notNull())
        .addColumn("change", "text", (column) => column.notNull())
        .addColumn("spec", "text")
        .addColumn("author", "text", (column) => column.notNull())
        .addColumn("reason", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .addPrimaryKeyConstraint("monitor_revision_key", ["monitor", "revision"])
        .execute();
    },
  },
  {
    name: "0501-monitoring-results",
    async up({ schema }) {
      await schema
        .createTable("monitor_result")
        .addColumn("monitor", "text", (column) => column.notNull())
        .addColumn("series", "text", (column) => column.notNull())
        .addColumn("window_end_ms", "bigint", (column) => column.notNull())
        .addColumn("result_version", "bigint", (column) => column.notNull())
        .addColumn("verdict", "text", (column) => column.notNull())
        .addColumn("evaluated_ms", "bigint", (column) => column.notNull())
        .addColumn("result", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("monitor_result_key", ["monitor", "series", "window_end_ms"])
        .execute();
      await schema
        .createTable("monitor_signal")
        .addColumn("monitor", "text", (column) => column.notNull())
        .addColumn("series", "text", (column) => column.notNull())
        .addColumn("signal", "text", (column) => column.notNull())
        .addColumn("memory", "text", (column) => column.notNull())
        .addColumn("value", "double precision")
        .addColumn("threshold", "double precision", (column) => column.notNull())
        .addColumn("muted_until_ms", "bigint")
        .addPrimaryKeyConstraint("monitor_signal_key", ["monitor", "series", "signal"])
        .execute();
      await schema
        .createTable("monitor_alert")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("monitor", "text", (column) => column.notNull())
        .addColumn("series", "text", (column) => column.notNull())
        .addColumn("signal", "text", (column) => column.notNull())
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("message", "text", (column) => column.notNull())
        .addColumn("value", "double precision", (column) => column.notNull())
        .addColumn("threshold", "double precision", (column) => column.notNull())
        .addColumn("window_end_ms", "bigint", (column) => column.notNull())
        .addColumn("fired_ms", "bigint", (column) => column.notNull())
        .addColumn("resolved_ms", "bigint")
        .addColumn("acknowledged_by", "text")
        .addColumn("acknowledged_ms", "bigint")
        .addColumn("action_kind", "text", (column) => column.notNull())
        .addColumn("action_state", "text", (column) => column.notNull())
        .addColumn("action_detail", "text", (column) => column.notNull())
        .execute();
      await schema
        .createIndex("monitor_alert_window")
        .unique()
        .on("monitor_alert")
        .columns(["monitor", "series", "signal", "window_end_ms"])
        .execute();
      await schema
        .createIndex("monitor_alert_fired")
        .on("monitor_alert")
        .columns(["fired_ms", "id"])
        .execute();
    },
  },
  {
    name: "0502-monitoring-traffic",
    async up({ schema }) {
      await schema
        .createTable("monitoring_traffic")
        .addColumn("deployment", "text", (column) => column.notNull())
        .addColumn("minute_ms", "bigint", (column) => column.notNull())
        .addColumn("revision", "bigint", (column) => column.notNull())
        .addColumn("variant", "text", (column) => column.notNull())
        .addColumn("model", "text", (column) => column.notNull())
        .addColumn("version", "text", (column) => column.notNull())
        .addColumn("shadow", "integer", (column) => column.notNull())
        .addColumn("instance", "text", (column) => column.notNull())
        .addColumn("requests", "bigint", (column) => column.notNull())
        .addColumn("errors", "bigint", (column) => column.notNull())
        .addColumn("rejected", "bigint", (column) => column.notNull())
        .addColumn("invalid_outputs", "bigint", (column) => column.notNull())
        .addColumn("latency", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("monitoring_traffic_key", [
          "deployment",
          "minute_ms",
          "revision",
          "variant",
          "model",
          "version",
          "shadow",
          "instance",
        ])
        .execute();
      await schema
        .createIndex("monitoring_traffic_minute")
        .on("monitoring_traffic")
        .columns(["minute_ms"])
        .execute();
      await schema
        .createTable("monitoring_rollback")
        .addColumn("deployment", "text", (column) => column.notNull())
        .addColumn("model", "text", (column) => column.notNull())
        .addColumn("version", "text", (column) => column.notNull())
        .addColumn("revision", "bigint", (column) => column.notNull())
        .addColumn("monitor", "text", (column) => column.notNull())
        .addColumn("at_ms", "bigint", (column) => column.notNull())
        .addColumn("outcome", "text")
        .addPrimaryKeyConstraint("monitoring_rollback_key", ["deployment", "model", "version"])
        .execute();
    },
  },
  {
    name: "0503-monitoring-labels",
    async up({ schema }) {
      await schema
        .createTable("monitoring_label")
        .addColumn("request_id", "text", (column) => column.notNull())
        .addColumn("row_index", "bigint", (column) => column.notNull())
        .addColumn("value", "text", (column) => column.notNull())
        .addColumn("observed_ms", "bigint", (column) => column.notNull())
        .addColumn("received_ms", "bigint", (column) => column.notNull())
        .addPrimaryKeyConstraint("monitoring_label_key", ["request_id", "row_index"])
        .execute();
      await schema
        .createIndex("monitoring_label_observed")
        .on("monitoring_label")
        .columns(["observed_ms"])
        .execute();
    },
  },
  {
    name: "0504-monitoring-labels-received",
    async up({ schema }) {
      await schema
        .createIndex("monitoring_label_received")
        .on("monitoring_label")
        .columns(["received_ms"])
        .execute();
    },
  },
  {
    name: "0505-monitoring-rollback-evidence",
    async up({ schema }) {
      await schema.alterTable("monitoring_rollback").addColumn("evidence", "text").execute();
    },
  },
  { name: "0506-monitoring-traffic-to-ledger", up: moveTrafficToLedger },
  {
    name: "0507-monitoring-result-history",
    async up({ schema }) {
      await schema
        .createTable("monitor_result_history")
        .addColumn("monitor", "text", (column) => column.notNull())
        .addColumn("series", "text", (column) => column.notNull())
        .addColumn("window_end_ms", "bigint", (column) => column.notNull())
        .addColumn("result_version", "bigint", (column) => column.notNull())
        .addColumn("verdict", "text", (column) => column.notNull())
        .addColumn("evaluated_ms", "bigint", (column) => column.notNull())
        .addColumn("result", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("monitor_result_history_key", [
          "monitor",
          "series",
          "window_end_ms",
          "result_version",
        ])
        .execute();
    },
  },
  {
    name: "0508-monitoring-alert-notifications",
    async up(database, dialect) {
      const eventId =
        dialect === "sqlite"
          ? "integer primary key autoincrement"
          : "bigint generated by default as identity primary key";
      const statements = [
        `create table alert_event (
          event_id ${eventId},
          alert_id text not null,
          kind text not null,
          at_ms bigint not null,
          actor text,
          reason text)`,
        "create index alert_event_alert on alert_event (alert_id, event_id)",
        `create table alert_subscription (
          webhook_id text primary key,
          name text not null unique,
          url text not null,
          secret text,
          status text not null,
          format text not null,
          monitor text,
          revision bigint not null,
          created_ms bigint not null,
          updated_ms bigint not null,
          updated_by text not null)`,
        `create table alert_delivery (
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
        `create index alert_delivery_pending
          on alert_delivery (webhook_id, event_id, due_ms) where state = 'pending'`,
        `create index alert_delivery_leased on alert_delivery (webhook_id, lease_until_ms) where state = 'pending'`,
      ];
      for (const statement of statements) await sql.raw(statement).execute(database);
    },
  },
  {
    name: "0509-monitoring-rollback-decisions",
    async up(database) {
      await database.schema
        .createTable("rollback_decision")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("deployment", "text", (column) => column.notNull())
        .addColumn("model", "text", (column) => column.notNull())
        .addColumn("version", "text", (column) => column.notNull())
        .addColumn("revision", "bigint", (column) => column.notNull())
        .addColumn("monitor", "text", (column) => column.notNull())
        .addColumn("at_ms", "bigint", (column) => column.notNull())
        .addColumn("inputs", "text", (column) => column.notNull())
        .addColumn("outcome", "text", (column) => column.notNull())
        .addColumn("detail", "text", (column) => column.notNull())
        .addColumn("new_revision", "bigint")
        .execute();
      await database.schema
        .createIndex("rollback_decision_newest")
        .on("rollback_decision")
        .columns(["at_ms", "id"])
        .execute();
      await decisionsOfRollbacks(database);
    },
  },
];
