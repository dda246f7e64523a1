import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import SQLite from "better-sqlite3";
import { processConfig } from "../shared/config.ts";
import { damagesOf, startFault } from "../shared/database/index.ts";

// npm run check:data [-- --full]
// Looks through the embedded database for damage; a server may run over it meanwhile. Ends with 1 when there is any.

const { values } = parseArgs({ options: { full: { type: "boolean", default: false } } });
const { database: config } = processConfig({}, {});
if (config.kind === "postgres") {
  console.log("PostgreSQL looks after its own files: use pg_amcheck there.");
} else {
  process.exitCode = check(config.file);
}

function check(file: string): 0 | 1 {
  if (!existsSync(file)) {
    console.log(`There is no database ${file}: set KETLINE_DATA or KETLINE_DATABASE as the server has them.`);
    return 1;
  }
  try {
    const database = new SQLite(file, { readonly: true, fileMustExist: true });
    const damages = damagesOf(database, values.full ? "full" : "quick");
    database.close();
    for (const damage of damages) console.log(`${file}: ${damage}`);
    console.log(damages.length === 0 ? `${file} is whole.` : `${file} is damaged: restore it from a backup.`);
    return damages.length === 0 ? 0 : 1;
  } catch (error) {
    const fault = startFault(file, error);
    console.log(fault instanceof Error ? fault.message : String(fault));
    return 1;
  }
}
