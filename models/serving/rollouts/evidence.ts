import { emptyTally, mergeTallies, type Tally } from "../tally.ts";
import type { TallyKey } from "../tally-store.ts";

/** What was counted in one step. */
export interface Evidence {
  /** Of the new variant: its answers, or in a step of 0 % its copies. */
  readonly ours: Tally;
  readonly champions: Tally;
  /** Whether the new variant gets copies only. */
  readonly copies: boolean;
}

/** A variant, and the version that it serves now; null where that is not known. */
export interface Served {
  readonly name: string;
  readonly version: string | null;
}

/**
 * Counts for a variant what its version of now did: one whose alias has moved must not pass by what another version
 * answered before.
 *
 * @param parts of the revision that the step made
 */
export function evidenceOf(
  parts: readonly { readonly key: TallyKey; readonly tally: Tally }[],
  { target, champion }: { readonly target: Served; readonly champion: Served },
  copies: boolean,
): Evidence {
  const sumOf = ({ name, version }: Served, shadow: boolean) =>
    parts
      .filter(({ key }) => key.variant === name && key.shadow === shadow)
      .filter(({ key }) => version === null || key.modelVersion === version)
      .reduce((sum, { tally }) => mergeTallies(sum, tally), emptyTally());
  return { ours: sumOf(target, copies), champions: sumOf(champion, false), copies };
}
