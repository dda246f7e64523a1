import type { Recipe } from "../data/recipe.ts";
import type { KeyColumn } from "./key-columns.ts";

/** The index of a version's models, beside their bundles in the version's folder. Serving reads it (`serving/bundles`). */
export interface BundleIndex {
  readonly format: 1;
  readonly keyColumns: readonly KeyColumn[];
  readonly fallback: "global" | "parent";
  /** What all of its models predict, from what. */
  readonly recipe: Recipe;
  /** File names in the folder of the index. */
  readonly bundles: readonly string[];
  /** Values of the key, bundle, where in it, how long, the size when decompressed, its SHA-256 then. */
  readonly models: readonly BundledModel[];
}

export type BundledModel = readonly [
  values: readonly string[],
  bundle: number,
  offset: number,
  length: number,
  sizeBytes: number,
  sha256: string,
];

export const bundleFolder = "keys";
export const indexFile = `${bundleFolder}/index.json`;
