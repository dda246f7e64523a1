import { writeFile } from "node:fs/promises";
import path from "node:path";
import profileFile from "../../models/datasets/profiling/profile.worker.ts";
import { recipeOf, withRowKey } from "../../models/training/data/recipe.ts";
import fitModel, { type FitResult } from "../../models/training/fitting/fit.worker.ts";
import { type Algorithm, TrainingSpec } from "../../models/training/schemas.ts";
import { inScratchDirectory } from "../../shared/scratch/index.ts";

type Row = Readonly<Record<string, unknown>>;

/** The time of a row: a minute each, from 1 January 2001. */
export function minute(row: number): string {
  return new Date(Date.UTC(2001, 0, 1) + row * 60_000).toISOString();
}

/** A split after so many rows of times from `minute`, in the column `t`. */
export function splitAfter(row: number) {
  return {
    timeColumn: "t",
    train: { from: minute(0), to: minute(row) },
    holdout: { from: minute(row), to: "2002-01-01" },
  };
}

/** Fits on rows in memory, through the same files and workers as a job does, without one. */
export async function fitRows(rows: readonly Row[], request: object): Promise<FitResult> {
  const spec = TrainingSpec.parse({ dataset: "rows", version: "0".repeat(64), ...request });
  return inScratchDirectory(async (scratchDirectory) => {
    const file = path.join(scratchDirectory, "rows.jsonl");
    await writeFile(file, rows.map((row) => JSON.stringify(row)).join("\n"));
    const source = { file, format: "jsonl", options: {}, maxBytes: 10_000_000 } as const;
    const found = await profileFile({ source, expectations: [], scratchDirectory }, () => {});
    const algorithm: Algorithm = spec.algorithm ?? {
      kind: spec.task === "binary" ? "logistic" : "linear",
      ...{ l2: 1, minLevelRows: 2, maxLevels: 500, impute: "mean", classWeights: "none" as const },
    };
    const recipe = recipeOf(spec, found.columns);
    const settled = withRowKey(spec, found.columns);
    return await fitModel(
      { file: found.rowsFile, scratchDirectory, spec: settled, algorithm, recipe, codeVersion: "test" },
      () => {},
    );
  });
}
