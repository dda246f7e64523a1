// npm run check: format and lint, types, unused exports and dependencies, the floors of the house and the size of its rooms.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const steps = [
  ["format and lint", ["biome", "check", "."]],
  ["types", ["tsc", "--project", "tsconfig.json"]],
  ["unused exports and dependencies", ["knip"]],
  ["floors", ["depcruise", "--config", ".dependency-cruiser.cjs", "."]],
];
const maxFilesOfRoom = 15;
const failed = steps.filter(([name, args]) => {
  console.log(`\n— ${name}`);
  return (
    spawnSync(process.execPath, [path.join(root, "tools/node22.mjs"), ...args], {
      cwd: root,
      stdio: "inherit",
    }).status !== 0
  );
});
const full = fullRooms();
if (full.length > 0) {
  console.log(
    `\nMore than ${maxFilesOfRoom} files stand in ${full.join(", ")}: give some of them a room of their own.`,
  );
  failed.push(["rooms", []]);
}
console.log(
  failed.length === 0 ? "\ncheck: all passed" : `\ncheck: failed: ${failed.map(([name]) => name).join(", ")}`,
);
process.exit(failed.length === 0 ? 0 : 1);

function fullRooms() {
  const files = globSync("{clients,environments,functions,models,quantum,server,shared}/**/*.ts", {
    cwd: root,
  });
  const rooms = Map.groupBy(files, (file) => path.dirname(file));
  return [...rooms]
    .filter(([, inside]) => inside.length > maxFilesOfRoom)
    .map(([room, inside]) => `${room} (${inside.length})`);
}
