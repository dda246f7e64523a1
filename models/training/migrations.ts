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
];
