import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

// npm run bench -- <name> [arguments]: runs bench/<name>/main.ts.

const [name, ...args] = process.argv.slice(2);
const script = path.join(import.meta.dirname, name ?? "", "main.ts");
if (name === undefined || !existsSync(script)) {
  const names = readdirSync(import.meta.dirname, { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  console.error(`usage: npm run bench -- <${names.map((entry) => entry.name).join(" | ")}>`);
  process.exit(1);
}
process.argv.splice(2, process.argv.length - 2, ...args);
await import(pathToFileURL(script).href);
