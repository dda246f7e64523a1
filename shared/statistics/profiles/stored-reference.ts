import type { NumericReference, ReferenceProfile } from "./profile.ts";
import { buildReferenceProfile } from "./profile.ts";

/** As it was stored before bins had offsets: fifty bins, and a sample of at most ten thousand values. */
interface ReferenceProfileV1 extends Omit<ReferenceProfile, "version" | "columns"> {
  readonly version: 1;
  readonly columns: readonly (
    | Omit<NumericReference, "offsets">
    | Exclude<ReferenceProfile["columns"][number], NumericReference>
  )[];
}

/**
 * A reference profile as it lies beside a model, in today's form. One of the first form gets its bins from its sample:
 * distances from it are as exact as ten thousand values are.
 *
 * @returns null when it is of a form that is not known here
 */
export function storedReference(stored: { readonly version: number }): ReferenceProfile | null {
  if (stored.version === 2) return stored as ReferenceProfile;
  return stored.version === 1 ? refined(stored as ReferenceProfileV1) : null;
}

function refined({ columns, seed, ...rest }: ReferenceProfileV1): ReferenceProfile {
  const rebuilt = buildReferenceProfile(
    columns.map((column) =>
      column.kind === "numeric"
        ? { name: column.name, kind: "numeric", values: column.sample }
        : { name: column.name, kind: "categorical", values: [] },
    ),
    { seed },
  );
  const whole = columns.map((column, index): ReferenceProfile["columns"][number] => {
    const sampled = rebuilt.columns[index];
    if (column.kind !== "numeric" || sampled?.kind !== "numeric") return column as never;
    const { edges, counts, offsets } = sampled;
    const finite = column.count - column.nulls - column.nan - column.posInf - column.negInf;
    const scale = column.sample.length === 0 ? 0 : finite / column.sample.length;
    return {
      ...column,
      edges,
      counts: counts.map((count) => count * scale),
      offsets: offsets.map((offset) => offset * scale),
    };
  });
  return { ...rest, seed, fingerprint: `1-${rest.fingerprint}`, version: 2, columns: whole };
}
