// npm run check: format and lint, types, unused exports and dependencies, and the floors of the house.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const steps = [
  ["format and lint", ["biome", "check", "."]],
  ["types", ["tsc", "--project", "tsconfig.json"]],
  ["unused exports and dependencies", ["knip"]],
  ["floors", ["depcruise", "--config", ".dependency-cruiser.cjs", "."]],
];
const failed = steps.filter(([name, args]) => {
  console.log(`\n— ${name}`);
  return (
    spawnSync(process.execPath, [path.join(root, "tools/node22.mjs"), ...args], {
      cwd: root,
      stdio: "inherit",
    }).status !== 0
  );
});
console.log(
  failed.length === 0 ? "\ncheck: all passed" : `\ncheck: failed: ${failed.map(([name]) => name).join(", ")}`,
);
process.exit(failed.length === 0 ? 0 : 1);
