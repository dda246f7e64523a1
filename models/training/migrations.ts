import type { Migration } from "../../shared/database/index.ts";

export const trainingMigrations: readonly Migration[] = [
  {
    name: "0300-training-trainings",
    async up(schema) {
      await schema.schema
        .createTable("training")
        .addColumn("job_id", "text", (column) => column.primaryKey())
        .addColumn("dataset", "text", (column) => column.notNull())
        .addColumn("dataset_version", "text", (column) => column.notNull())
        .addColumn("registered_model", "text")
        .addColumn("run_id", "text")
        .addColumn("model_version", "bigint")
        .addColumn("created_by", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .execute();
      await schema.schema
        .createIndex("training_created")
        .on("training")
        .columns(["created_ms", "job_id"])
        .execute();
    },
  },
  {
    name: "0301-training-datasets",
    async up(schema) {
      await schema.schema
        .createIndex("training_dataset")
        .on("training")
        .columns(["dataset", "dataset_version", "job_id"])
        .execute();
    },
  },
  {
    name: "0310-training-schedules",
    async up({ schema }) {
      await schema
        .createTable("training_schedule")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("revision", "bigint", (column) => column.notNull())
        .addColumn("spec", "text", (column) => column.notNull())
        .addColumn("author", "text", (column) => column.notNull())
        .addColumn("created_ms", "bigint", (column) => column.notNull())
        .addColumn("updated_ms", "bigint", (column) => column.notNull())
        .addColumn("next_due_ms", "bigint")
        .addColumn("next_fire_ms", "bigint")
        .addColumn("seen_version", "text")
        .addColumn("active_firing", "text")
        .execute();
      await schema
        .createIndex("training_schedule_fire")
        .on("training_schedule")
        .column("next_fire_ms")
        .execute();
      await schema
        .createTable("training_firing")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("schedule", "text", (column) => column.notNull())
        .addColumn("schedule_revision", "bigint", (column) => column.notNull())
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("cause", "text", (column) => column.notNull())
        .addColumn("cause_key", "text", (column) => column.notNull())
        .addColumn("reason", "text")
        .addColumn("data_version", "text")
        .addColumn("training_id", "text")
        .addColumn("run_id", "text")
        .addColumn("model", "text")
        .addColumn("model_version", "bigint")
        .addColumn("promoted", "integer")
        .addColumn("verdict", "text")
        .addColumn("deployment", "text")
        .addColumn("rollout_id", "text")
        .addColumn("fired_ms", "bigint", (column) => column.notNull())
        .addColumn("ended_ms", "bigint")
        .addUniqueConstraint("training_firing_cause", ["schedule", "cause_key"])
        .execute();
      await schema
        .createIndex("training_firing_fired")
        .on("training_firing")
        .columns(["schedule", "fired_ms", "id"])
        .execute();
      await schema
        .createIndex("training_firing_open")
        .on("training_firing")
        .columns(["ended_ms", "fired_ms", "id"])
        .execute();
    },
  },
  {
    name: "0320-training-keys",
    async up({ schema }) {
      await schema
        .createTable("training_task")
        .addColumn("job_id", "text", (column) => column.notNull())
        .addColumn("task", "bigint", (column) => column.notNull())
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("owner", "text")
        .addColumn("lease_until_ms", "bigint")
        .addColumn("attempts", "bigint", (column) => column.notNull())
        .addColumn("key_count", "bigint", (column) => column.notNull())
        .addColumn("result", "text")
        .addColumn("error", "text")
        .addPrimaryKeyConstraint("training_task_key", ["job_id", "task"])
        .execute();
      await schema
        .createTable("training_key")
        .addColumn("job_id", "text", (column) => column.notNull())
        .addColumn("key_number", "bigint", (column) => column.notNull())
        .addColumn("key_values", "text", (column) => column.notNull())
        .addColumn("task", "bigint")
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("reason", "text")
        .addColumn("train_rows", "bigint", (column) => column.notNull())
        .addColumn("holdout_rows", "bigint", (column) => column.notNull())
        .addColumn("mean_loss", "double precision")
        .addColumn("baseline_loss", "double precision")
        .addColumn("champion_loss", "double precision")
        .addColumn("metrics", "text")
        .addPrimaryKeyConstraint("training_key_key", ["job_id", "key_number"])
        .execute();
      await schema
        .createIndex("training_key_state")
        .on("training_key")
        .columns(["job_id", "state", "key_number"])
        .execute();
    },
  },
  {
    name: "0321-training-runs",
    async up({ schema }) {
      await schema.createIndex("training_run").on("training").column("run_id").execute();
    },
  },
];
