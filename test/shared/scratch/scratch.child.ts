// A process of its own, with the temporary directory of its test. `hold`: opens a directory, says where, and waits to be
// ended. `sweep`: says how many directories it removed.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { openScratchDirectory, sweepScratchDirectories } from "../../../shared/scratch/index.ts";

if (process.argv[2] === "hold") {
  const { path: directory } = await openScratchDirectory();
  writeFileSync(path.join(directory, "spilled"), "x".repeat(1000));
  process.stdout.write(`${directory}\n`);
  setInterval(() => {}, 1000);
} else {
  process.stdout.write(`${await sweepScratchDirectories(Date.now())}\n`);
}
