import type { Transaction } from "kysely";
import type { Migration } from "../../shared/database/index.ts";
import type { ServingTables } from "./store.ts";

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
];
