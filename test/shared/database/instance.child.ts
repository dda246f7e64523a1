import { openDatabase } from "../../../shared/database/index.ts";
import { slowThing, type Tables, thing } from "./things.ts";

// One instance among several on the same database: it migrates, and counts up if it was told to.
const [what, config] = process.argv.slice(2);
const database = await openDatabase(
  JSON.parse(config ?? ""),
  what === "count" ? [thing] : [thing, slowThing],
);
for (let index = 0; what === "count" && index < 100; index++) {
  await database.transaction<Tables, void>(async (trx) => {
    const query = trx.selectFrom("thing").select("count").where("name", "=", "total");
    const { count } = await (database.dialect === "postgres"
      ? query.forUpdate()
      : query
    ).executeTakeFirstOrThrow();
    await trx
      .updateTable("thing")
      .set({ count: count + 1 })
      .where("name", "=", "total")
      .execute();
  });
}
await database.close();
