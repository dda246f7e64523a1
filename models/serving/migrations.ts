import { sql, type Transaction } from "kysely";
import type { Migration } from "../../shared/database/index.ts";
import type { ServingTables } from "./deployments/store.ts";

export const servingMigrations: readonly Migration[] = [
  {
    name: "0400-serving-deployments",
    async up(schema) {
      await schema.schema
        .createTable("serving_state")
        .addColumn("id", "integer", (column) => column.primaryKey())
        .addColumn("change_number", "bigint", (column) => column.notNull())
        .execute();
      await (schema as unknown as Transaction<ServingTables>)
        .insertInto("serving_state")
        .values({ id: 1, change_number: 0 })
        .execute();
      await schema.schema
        .createTable("serving_deployment")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("revision", "bigint", (column) => column.notNull())
        .addColumn("change_number", "bigint", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .addColumn("deleted", "integer", (column) => column.notNull())
        .execute();
      await schema.schema
        .createIndex("serving_deployment_change")
        .on("serving_deployment")
        .column("change_number")
        .execute();
      await schema.schema
        .createTable("serving_revision")
        .addColumn("deployment", "text", (column) => column.notNull())
        .addColumn("revision", "bigint", (column) => column.notNull())
        .addColumn("change", "text", (column) => column.notNull())
        .addColumn("spec", "text", (column) => column.notNull())
        .addColumn("author_id", "text", (column) => column.notNull())
        .addColumn("author_name", "text", (column) => column.notNull())
        .addColumn("reason", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .addColumn("restores", "bigint")
        .addColumn("health", "text", (column) => column.notNull())
        .addColumn("health_reason", "text")
        .addPrimaryKeyConstraint("serving_revision_key", ["deployment", "revision"])
        .execute();
    },
  },
  {
    name: "0401-serving-tallies",
    async up(schema) {
      await schema.schema
        .createTable("serving_tally")
        .addColumn("deployment", "text", (column) => column.notNull())
        .addColumn("revision", "bigint", (column) => column.notNull())
        .addColumn("window_ms", "bigint", (column) => column.notNull())
        .addColumn("variant", "text", (column) => column.notNull())
        .addColumn("model_name", "text", (column) => column.notNull())
        .addColumn("model_version", "text", (column) => column.notNull())
        .addColumn("shadow", "integer", (column) => column.notNull())
        .addColumn("instance", "text", (column) => column.notNull())
        .addColumn("tally", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("serving_tally_key", [
          "deployment",
          "revision",
          "window_ms",
          "variant",
          "model_name",
          "model_version",
          "shadow",
          "instance",
        ])
        .execute();
      await schema.schema
        .createIndex("serving_tally_window")
        .on("serving_tally")
        .column("window_ms")
        .execute();
    },
  },
  {
    name: "0402-serving-rollouts",
    async up(schema) {
      await schema.schema.alterTable("serving_revision").addColumn("rollout", "text").execute();
      await schema.schema
        .createTable("serving_rollout")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("deployment", "text", (column) => column.notNull())
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("state_reason", "text", (column) => column.notNull())
        .addColumn("target", "text", (column) => column.notNull())
        .addColumn("champion", "text", (column) => column.notNull())
        .addColumn("gates", "text", (column) => column.notNull())
        .addColumn("on_failure", "text", (column) => column.notNull())
        .addColumn("steps", "text", (column) => column.notNull())
        .addColumn("step", "bigint", (column) => column.notNull())
        .addColumn("base_revision", "bigint", (column) => column.notNull())
        .addColumn("revision", "bigint", (column) => column.notNull())
        .addColumn("started_ms", "bigint", (column) => column.notNull())
        .addColumn("since_ms", "bigint", (column) => column.notNull())
        .addColumn("paused_ms", "bigint")
        .addColumn("ended_ms", "bigint")
        .addColumn("author_id", "text", (column) => column.notNull())
        .addColumn("author_name", "text", (column) => column.notNull())
        .addColumn("reason", "text", (column) => column.notNull())
        .execute();
      await sql`create unique index serving_rollout_active on serving_rollout (deployment) where ended_ms is null`.execute(
        schema,
      );
      await schema.schema
        .createIndex("serving_rollout_started")
        .on("serving_rollout")
        .columns(["deployment", "started_ms", "id"])
        .execute();
      await schema.schema
        .createTable("serving_rollout_event")
        .addColumn("rollout", "text", (column) => column.notNull())
        .addColumn("number", "bigint", (column) => column.notNull())
        .addColumn("at_ms", "bigint", (column) => column.notNull())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("step", "bigint", (column) => column.notNull())
        .addColumn("revision", "bigint")
        .addColumn("actor_id", "text", (column) => column.notNull())
        .addColumn("actor_name", "text", (column) => column.notNull())
        .addColumn("reason", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("serving_rollout_event_key", ["rollout", "number"])
        .execute();
    },
  },
  {
    name: "0403-serving-rollout-deadlines",
    async up(schema) {
      // Written down for rollouts that began before: their steps have no deadline, so it is never acted on.
      await schema.schema
        .alterTable("serving_rollout")
        .addColumn("on_deadline", "text", (column) => column.notNull().defaultTo("pause"))
        .execute();
    },
  },
];
