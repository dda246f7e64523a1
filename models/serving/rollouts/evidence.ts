import type { Traffic } from "../traffic/ledger.ts";
import { emptyTally, mergeTallies, type Tally } from "../traffic/tally.ts";

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
 * @param traffic of the revision that the step made
 */
export function evidenceOf(
  traffic: readonly Traffic[],
  { target, champion }: { readonly target: Served; readonly champion: Served },
  copies: boolean,
): Evidence {
  const sumOf = ({ name, version }: Served, shadow: boolean) =>
    traffic
      .filter((part) => part.variant === name && part.shadow === shadow)
      .filter((part) => version === null || part.modelVersion === version)
      .reduce((sum, { tally }) => mergeTallies(sum, tally), emptyTally());
  return { ours: sumOf(target, copies), champions: sumOf(champion, false), copies };
}
