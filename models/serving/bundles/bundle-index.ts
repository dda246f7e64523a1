import { z } from "zod";
import { invalid } from "../../../shared/errors.ts";
import { parseJson } from "../../../shared/http/index.ts";

/** Where a version keeps models for single keys, beside the one that answers for all others. */
export const bundleFolder = "keys";
export const indexFile = `${bundleFolder}/index.json`;
/** Of an index: 100,000 keys with long names. */
export const maxIndexBytes = 256 * 1024 ** 2;

export interface KeyColumn {
  readonly name: string;
  readonly kind: "text" | "integer" | "boolean";
}

/** A model within a bundle, compressed by itself. */
export interface SubModel {
  /** The file, below the version's folder. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface Bundles {
  readonly keyColumns: readonly KeyColumn[];
  readonly count: number;
  /** The model of these values, or of the nearest parent; undefined where the version's own model answers. */
  find(values: readonly string[]): SubModel | undefined;
}

const whole = z.int().min(0);
const Index = z.object({
  format: z.literal(1),
  keyColumns: z
    .array(z.object({ name: z.string().min(1), kind: z.enum(["text", "integer", "boolean"]) }))
    .min(1)
    .max(8),
  bundles: z.array(z.string().regex(/^[\w-]+\.bin$/)),
  models: z.array(z.tuple([z.array(z.string()), whole, whole, whole, whole, z.string().length(64)])),
});

/** @throws invalid for what is no such index */
export function readBundleIndex(bytes: Uint8Array): Bundles {
  const parsed = Index.safeParse(parsedOrNull(new TextDecoder().decode(bytes)));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(`Its ${indexFile} is not an index of models: ${issue?.path.join(".")} ${issue?.message}.`);
  }
  const { keyColumns, bundles, models } = parsed.data;
  const byKey = new Map<string, SubModel>();
  for (const [values, bundle, offset, length, sizeBytes, sha256] of models) {
    const file = bundles[bundle];
    if (file === undefined)
      throw invalid(`Its ${indexFile} names the bundle ${bundle} of ${bundles.length}.`);
    byKey.set(JSON.stringify(values), { file: `${bundleFolder}/${file}`, offset, length, sizeBytes, sha256 });
  }
  return {
    keyColumns,
    count: byKey.size,
    find(values) {
      for (let length = values.length; length > 0; length--) {
        const found = byKey.get(JSON.stringify(length === values.length ? values : values.slice(0, length)));
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}

function parsedOrNull(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return null;
  }
}
