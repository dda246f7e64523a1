import type { Migration } from "../../../shared/database/index.ts";

/** A table for the tests of the database itself. */
export interface Tables {
  thing: { name: string; revision: number; count: number; score: number };
}

export const thing: Migration = {
  name: "0001-test-things",
  async up(schema) {
    await schema.schema
      .createTable("thing")
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("revision", "bigint", (column) => column.notNull())
      .addColumn("count", "bigint", (column) => column.notNull())
      .addColumn("score", "double precision", (column) => column.notNull())
      .execute();
  },
};

/** Fails if it runs twice, and has so many steps that another instance can come between. */
export const slowThing: Migration = {
  name: "0002-test-slow",
  async up(schema) {
    for (let index = 0; index < 30; index++) {
      await schema.schema.createTable(`slow_${index}`).addColumn("name", "text").execute();
    }
  },
};
