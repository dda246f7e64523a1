// A process of its own that runs one job and is killed in the middle of it. Arguments: database file, what to do.
import { appendFileSync } from "node:fs";
import { systemClock } from "../../../shared/clock.ts";
import { openDatabase } from "../../../shared/database/index.ts";
import { jobGround, jobTables, kindOf } from "./ground.ts";

const [file = "", mode = ""] = process.argv.slice(2);
const database = await openDatabase({ kind: "sqlite", file }, jobTables);
const work = kindOf(async ({ attempt, log }) => {
  appendFileSync(`${file}.runs`, `${attempt}\n`);
  log(`attempt ${attempt}`);
  if (mode === "hang") {
    process.stdout.write("in the middle\n");
    await new Promise((resolve) => setTimeout(resolve, 3600_000));
  }
  appendFileSync(`${file}.completions`, `${attempt}\n`);
  return attempt;
});
const { jobs, runner } = await jobGround(
  database,
  [work],
  Object.assign(() => systemClock(), { set() {}, advance() {} }),
);
const here = runner({ leaseMs: 500 });
if (mode === "hang") {
  await jobs.submit(work, { n: 1 }, { actor: { id: "a", name: "A", role: "admin", source: "system" } });
}
process.on("SIGTERM", async () => {
  await here.stop();
  await database.close();
  process.stdout.write("stopped\n");
});
here.start();
if (mode === "work") process.stdout.write("following\n");
