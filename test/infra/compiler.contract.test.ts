import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { environments, stages } from "./snapshots.ts";

const source = fileURLToPath(new URL("../../infra", import.meta.url));
const bicep = findBicep();

describe.skipIf(bicep === undefined)("the ARM templates, against the Bicep compiler", () => {
  let copy = "";
  beforeAll(() => {
    copy = mkdtempSync(path.join(tmpdir(), "ketline-infra-"));
    cpSync(source, copy, { recursive: true });
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  it.each(environments)(
    "of the %s environment build without a warning and equal the committed JSON",
    (environment) => {
      const built = run(["build", path.join(copy, environment, "main.bicep")]);
      expect(built.stderr).toBe("");
      expect(built.status).toBe(0);
      const parse = (root: string) =>
        JSON.parse(readFileSync(path.join(root, environment, "main.json"), "utf8"));
      expect(withoutGenerator(parse(copy))).toEqual(withoutGenerator(parse(source)));
    },
  );

  it.each(environments.flatMap((environment) => stages.map((stage) => [environment, stage] as const)))(
    "of the %s environment lead to the committed snapshot for %s",
    (environment, stage) => {
      const file = path.join(copy, environment, "parameters", `${stage}.bicepparam`);
      const scope = ["--subscription-id", "11111111-1111-1111-1111-111111111111", "--location", "westeurope"];
      const { stdout, stderr, status } = run([
        "snapshot",
        file,
        "--mode",
        "validate",
        ...scope,
        "--resource-group",
        `ketline-${environment}-${stage}`,
      ]);
      expect({ status, difference: status === 0 ? "" : stdout + stderr }).toEqual({
        status: 0,
        difference: "",
      });
    },
  );

  function run(args: string[]) {
    const env = { ...process.env, DOTNET_SYSTEM_GLOBALIZATION_INVARIANT: "1" };
    return spawnSync(bicep ?? "", args, { encoding: "utf8", env, timeout: 60_000 });
  }
});

/** The compiler at BICEP, else on the PATH. Its absence is said aloud, and fails in CI. */
function findBicep(): string | undefined {
  const candidate = process.env.BICEP ?? "bicep";
  try {
    execFileSync(candidate, ["--version"], {
      stdio: "ignore",
      env: { ...process.env, DOTNET_SYSTEM_GLOBALIZATION_INVARIANT: "1" },
    });
    return candidate;
  } catch {
    if (process.env.CI === "true") throw new Error("CI needs the Bicep compiler: set BICEP to its path.");
    console.warn(
      "SKIPPED: the Bicep compiler was not found; set BICEP to its path to compare the ARM templates with it.",
    );
    return undefined;
  }
}

/** The compiler writes its own version and a hash beside what it was given. */
function withoutGenerator(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutGenerator);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== "_generator")
      .map(([key, item]) => [key, withoutGenerator(item)]),
  );
}
